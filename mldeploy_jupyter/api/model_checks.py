"""Checks of what a user passes to `Model`, and the search for one model."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable
from typing import Any

from mldeploy_jupyter.api.model_filters import describe, matches, parse_filter
from mldeploy_jupyter.api.resource_configuration import ResourceConfiguration
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import ModelNotFoundException, UserErrorException, WebserviceException
from mldeploy_jupyter.core.records import ModelRecord

FRAMEWORKS = ("Custom", "TensorFlow", "ScikitLearn", "Onnx", "TfKeras", "PyTorch", "Multi")


def check_workspace(workspace: Any) -> Workspace:
    if not isinstance(workspace, Workspace):
        raise UserErrorException(
            f"workspace is {workspace!r}", why="it must be a Workspace", hint="ws = Workspace.get(), and pass ws"
        )
    return workspace


def check_framework(framework: Any, version: Any) -> None:
    """A version needs its framework, and a framework is one of those v1 names."""
    if version and not framework:
        raise WebserviceException(
            f"model_framework_version is {version!r} and model_framework is not given",
            why="a version says nothing without the framework it belongs to",
            hint="name the framework too, such as ScikitLearn",
        )
    if framework and framework not in FRAMEWORKS:
        raise WebserviceException(
            f"model_framework is {framework!r}",
            why=f"it must be one of {', '.join(FRAMEWORKS)}",
            hint="use one of these names, Custom for any other framework",
        )


def json_dict(argument: str, value: Any) -> dict[str, Any]:
    """The dict as JSON gives it back. Raises `WebserviceException` for what is no dict or cannot be JSON."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise WebserviceException(
            f"{argument} is {value!r}",
            why=f"it must be a dict, not {type(value).__name__}",
            hint=f'pass {argument}={{"key": "value"}}',
        )
    for key in value:
        if not isinstance(key, str):
            raise WebserviceException(
                f"{argument} has the key {key!r}", why="keys must be strings", hint=f"use {str(key)!r}"
            )
    result = {}
    for key, item in value.items():
        try:
            result[key] = json.loads(json.dumps(item, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            # Not Python's own words: they change from version to version.
            why = "it holds a value that JSON does not have"
            if not isinstance(error, TypeError):
                why = "it holds NaN or infinity, or refers to itself"
            raise WebserviceException(
                f"{argument}[{key!r}] cannot be kept: {type(item).__name__}",
                why=why,
                hint=f"use a string, number, list or dict: str(...) or float(...) of {argument}[{key!r}]",
            ) from None
    return result


def key_list(argument: str, value: Any) -> set[str]:
    """The keys in a list. Raises `UserErrorException` for anything but a list of strings."""
    keys: list[Any] = [*value] if isinstance(value, Iterable) and not isinstance(value, str) else [None]
    if not all(isinstance(key, str) for key in keys):
        raise UserErrorException(
            f"{argument} is {value!r}",
            why="it must be a list of keys",
            hint=f"pass {argument}=[{value!r}]" if isinstance(value, str) else f'pass {argument}=["key"]',
        )
    return {*keys}


def text_or_none(argument: str, value: Any) -> str | None:
    """The text; "" is none. Raises `UserErrorException` for what is no string."""
    if value is not None and not isinstance(value, str):
        raise UserErrorException(
            f"{argument} is {value!r}",
            why=f"it must be a string, not {type(value).__name__}",
            hint="pass str(...) of it",
        )
    return value or None


def resources(value: Any) -> dict[str, Any] | None:
    if value is not None and not isinstance(value, ResourceConfiguration):
        raise WebserviceException(
            f"resource_configuration is {value!r}",
            why="it must be a ResourceConfiguration",
            hint="pass ResourceConfiguration(cpu=1, memory_in_gb=0.5)",
        )
    return value.serialize() if value is not None else None


def dataset_details(datasets: Any, sample_input: Any, sample_output: Any) -> dict[str, Any]:
    """Datasets by scenario and samples, by their ids or names: this version keeps no datasets itself."""
    details: dict[str, Any] = {}
    if datasets is not None and not isinstance(datasets, (list, tuple)):
        raise WebserviceException(
            f"datasets is {datasets!r}", why="it must be a list of pairs", hint='datasets=[("training", dataset)]'
        )
    for pair in datasets or []:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or not isinstance(pair[0], str):
            raise WebserviceException(
                f"datasets has {pair!r}",
                why="each entry is a pair: scenario, dataset",
                hint='datasets=[("training", dataset)]',
            )
        details.setdefault("datasets", {}).setdefault(pair[0], []).append(_dataset_id(pair[1]))
    if sample_input is not None:
        details["sample_input_dataset"] = _dataset_id(sample_input)
    if sample_output is not None:
        details["sample_output_dataset"] = _dataset_id(sample_output)
    return details


def user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return ""


def find_record(
    workspace: Workspace,
    name: str | None,
    id: str | None,
    tags: Any,
    properties: Any,
    version: Any,
    run_id: str | None,
    model_framework: str | None,
) -> ModelRecord:
    """The newest model that fits: `id` wins, else name and version, else filters. Raises `ModelNotFoundException`."""
    if not id and not name:
        raise WebserviceException(
            "neither name nor id of the model is given",
            why="one of them says which model is meant",
            hint='Model(ws, "name"), Model(ws, id="name:1"), or Model.list(ws)',
        )
    wanted_tags, wanted_properties = parse_filter("tags", tags), parse_filter("properties", properties)
    if id:
        name, _, version = str(id).rpartition(":")
    number = _version_number(version, id)
    folder = workspace._for_read()
    records = folder.open_store().list_models(name) if folder else []
    fitting = [
        record
        for record in records
        if (number is None or record.version == number)
        and matches(record.tags, wanted_tags)
        and matches(record.properties, wanted_properties)
        and (run_id is None or record.run_id == run_id)
        and (model_framework is None or record.model_framework == model_framework)
    ]
    if fitting:
        return max(fitting, key=lambda record: record.version)
    criteria = {
        "name": name,
        "version": number,
        "tags": describe(wanted_tags),
        "properties": describe(wanted_properties),
        "run_id": run_id,
        "model_framework": model_framework,
    }
    given = ", ".join(f"{key} {value}" for key, value in criteria.items() if value not in (None, ""))
    if records:
        there = f"model {name} has version {', '.join(str(record.version) for record in records[:10])}"
    elif folder is None:
        there = f"there is no workspace in {workspace._start} or above it yet"
    else:
        names = sorted({record.name for record in folder.open_store().list_models(latest=True)})
        there = f"models in workspace {workspace.name}: {', '.join(names[:10]) or 'none'}"
    raise ModelNotFoundException(f"no model has {given}", why=there, hint="mldeploy model list")


def _version_number(version: Any, id: str | None) -> int | None:
    if version is None:
        return None
    if type(version) is int:
        return version
    if isinstance(version, str) and version.isascii() and version.isdigit():
        return int(version)
    if id:
        raise UserErrorException(f"id is {id!r}", why="an id is name:version", hint='such as id="my-model:1"')
    raise UserErrorException(f"version is {version!r}", why="it must be a whole number", hint="such as version=1")


def _dataset_id(dataset: Any) -> str:
    if isinstance(dataset, str):
        return dataset
    return str(getattr(dataset, "id", None) or getattr(dataset, "name", None) or repr(dataset))
