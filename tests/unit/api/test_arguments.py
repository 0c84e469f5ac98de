"""Checks of single arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mldeploy_jupyter.api import arguments
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import ConfigError, UserErrorException, WebserviceException


def test_a_workspace_is_accepted_without_creating_its_folder(folder: Path) -> None:
    workspace = Workspace()
    assert arguments.check_workspace(workspace) is workspace
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("value", [None, "ws", Workspace])
def test_anything_but_a_workspace_is_refused(value: Any) -> None:
    with pytest.raises(UserErrorException, match="it must be a Workspace"):
        arguments.check_workspace(value)


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (lambda value: arguments.check_path("p", value, "'x'"), Path("a/b"), "a/b"),
        (lambda value: arguments.check_whole_number("n", value, 1), np.int64(3), 3),
        (lambda value: arguments.check_seconds("s", value), None, None),
        (lambda value: arguments.check_seconds("s", value), -0.5, None),
        (lambda value: arguments.check_text("t", value), "", None),
        (lambda value: arguments.check_keys("k", value), ("a", "a", "b"), {"a", "b"}),
        (lambda value: arguments.check_json_dict("d", value), None, {}),
        (lambda value: arguments.check_json_dict("d", value), {"a": (1, 2)}, {"a": [1, 2]}),
    ],
)
def test_a_good_value_is_returned_in_its_plain_form(check: Callable[[Any], Any], value: Any, expected: Any) -> None:
    assert check(value) == expected


@pytest.mark.parametrize(
    ("check", "value", "text"),
    [
        (lambda value: arguments.check_path("p", value, "'x'"), "", "p is ''"),
        (lambda value: arguments.check_path("p", value, "'x'"), 5, "it must be a path"),
        (lambda value: arguments.check_whole_number("n", value, 1), 0, "at least 1"),
        (lambda value: arguments.check_whole_number("n", value, 0), True, "n is True"),
        (lambda value: arguments.check_whole_number("n", value, 0), 1.0, "n is 1.0"),
        (lambda value: arguments.check_seconds("s", value), "5", "a number of seconds"),
        (lambda value: arguments.check_seconds("s", value), True, "a number of seconds"),
        (lambda value: arguments.check_seconds("s", value), float("nan"), "a number of seconds"),
        (lambda value: arguments.check_text("t", value), 5, "it must be a string, not int"),
        (lambda value: arguments.check_keys("k", value), "a", "it must be a list of keys"),
        (lambda value: arguments.check_keys("k", value), [1], "it must be a list of keys"),
        (lambda value: arguments.check_json_dict("d", value), [], "it must be a dict, not list"),
        (lambda value: arguments.check_json_dict("d", value), {1: 2}, "keys must be strings"),
        (lambda value: arguments.check_json_dict("d", value), {"a": {1}}, "a value that JSON does not have"),
        (lambda value: arguments.check_json_dict("d", value), {"a": float("inf")}, "NaN or infinity"),
    ],
)
def test_a_bad_value_is_refused_by_its_argument(check: Callable[[Any], Any], value: Any, text: str) -> None:
    with pytest.raises((UserErrorException, WebserviceException), match=text) as caught:
        check(value)
    assert caught.value.hint


def test_an_unknown_azure_parameter_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    arguments.note_ignored("f", {"sku": "basic", "region": None}, ["sku", "region"])
    arguments.note_ignored("f", {"sku": "basic"}, ["sku"], show=False)
    assert capsys.readouterr().out == "f: sku is ignored; there are no Azure resources here\n"
    with pytest.raises(UserErrorException, match="did you mean 'region'"):
        arguments.note_ignored("f", {"regio": "x"}, ["sku", "region"])


def test_only_known_names_can_be_assigned() -> None:
    @dataclass
    class Settings(arguments.KnownNames):
        workers: int = 1

    settings = Settings()
    settings.workers = 2
    settings._cache = {}  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="did you mean workers"):
        settings.worker = 3  # type: ignore[attr-defined]


def test_an_azure_method_raises_with_its_replacement() -> None:
    method = arguments.azure_method("get_sas_urls", "there is no storage account", "call model.download()")
    with pytest.raises(arguments.AzureOnly, match="get_sas_urls needs Azure") as caught:
        method(object(), 1, key=2)
    assert caught.value.hint == "call model.download()"
    assert method.__doc__ == "Raises `AzureOnly`: there is no storage account."


def test_the_source_of_a_model_must_exist(folder: Path) -> None:
    (folder / "m.pkl").touch()
    (folder / "dangling").symlink_to("nowhere")
    assert arguments.find_source("m.pkl") == Path("m.pkl")
    for path, why in (("x.pkl", "looked for in"), ("no/x.pkl", "does not exist"), ("dangling", "a link to nowhere")):
        with pytest.raises(FileNotFoundError, match=why):
            arguments.find_source(path)
    with pytest.raises(UserErrorException, match="neither runs:"):
        arguments.find_source("models:/m")
