"""Checks of what a user passes to `Model`, and the search for one model."""

from __future__ import annotations

import getpass
from typing import Any

from mldeploy_jupyter.api.models.resource_configuration import ResourceConfiguration
from mldeploy_jupyter.core.errors import WebserviceException

FRAMEWORKS = ("Custom", "TensorFlow", "ScikitLearn", "Onnx", "TfKeras", "PyTorch", "Multi")


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


def _dataset_id(dataset: Any) -> str:
    if isinstance(dataset, str):
        return dataset
    return str(getattr(dataset, "id", None) or getattr(dataset, "name", None) or repr(dataset))
