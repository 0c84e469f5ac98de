"""The JSON Schema of `deploymentconfig.json` agrees with the reader."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mldeploy_jupyter.core.configs import SPECS, DeployConfig, json_schema, read_deploy_config
from mldeploy_jupyter.core.errors import ConfigError

from .documents import ACI, AKS, ENDPOINT, LOCAL, write_file


def variants(base: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The file with one value changed at a time, to everything a file may hold."""
    values = [
        None,
        True,
        False,
        0,
        1,
        -1,
        2.0,
        2.5,
        101,
        70000,
        "",
        "x",
        "Ab",
        "a b",
        [],
        ["a"],
        [1],
        {},
        {"a": "b"},
        {"a": 1},
    ]
    paths = [[key] for key in base if key != "computeType"]
    paths += [[key, leaf] for key, value in base.items() if isinstance(value, dict) for leaf in value]
    found = []
    for path in [*paths, ["unknownKey"], ["containerResourceRequirements", "gpu"]]:
        for value in values:
            changed = copy.deepcopy(base)
            node = changed
            for key in path[:-1]:
                node = node.setdefault(key, {})
            node[path[-1]] = value
            found.append((".".join(path) + f"={value!r}", changed))
    return found


@pytest.mark.parametrize("base", [LOCAL, ACI, AKS, ENDPOINT], ids=lambda data: str(data["computeType"]))
def test_the_schema_and_the_reader_agree(base: dict[str, Any], folder: Path) -> None:
    """The schema refuses just what the reader refuses, apart from the rules across settings, which it cannot say.

    It also refuses keys that the reader ignores with a note, because v1 did: who writes a file wants to know.
    """
    validator = jsonschema.Draft202012Validator(json_schema(base["computeType"]))
    checked = 0
    for name, data in variants(base):
        path = write_file(folder, data)
        notes: list[str] = []
        try:
            read_deploy_config(path, note=notes.append)
            problem = "".join(notes)
        except ConfigError as error:
            problem = str(error)
        valid = validator.is_valid(data) or name == "unknownKey=None"
        across = not valid or "must be given" in problem or "must only be" in problem or "must not be" in problem
        across = across or "must be at least" in problem
        assert bool(problem) == (not valid) or (problem and across), (name, problem, valid)
        checked += 1
    assert checked > 50


@pytest.mark.parametrize("kind", SPECS)
def test_the_schema_is_a_schema(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(kind))
    jsonschema.Draft202012Validator.check_schema(json_schema())
    with pytest.raises(ConfigError):
        json_schema("nowhere")


def test_the_schema_has_the_defaults() -> None:
    schema = json_schema("aks")
    cpu = schema["properties"]["containerResourceRequirements"]["properties"]["cpu"]
    assert cpu["default"] == DeployConfig("AKS").resolve()["cpu_cores"]
