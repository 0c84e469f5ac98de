"""The description of a model beside its files: framework, data sets, samples, and all of it as JSON data."""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.core.errors import WebserviceException
from mldeploy_jupyter.core.records import ModelRecord

FRAMEWORKS = ("Custom", "TensorFlow", "ScikitLearn", "Onnx", "TfKeras", "PyTorch", "Multi")


def check_framework(framework: Any, version: Any) -> None:
    """Raises `WebserviceException` for a framework that v1 does not name, and for a version without a framework."""
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


def dataset_details(datasets: Any, sample_input: Any, sample_output: Any) -> dict[str, Any]:
    """Data sets by scenario, and samples, for `ModelRecord.details`; only their ids or names are kept.

    Raises `WebserviceException` when `datasets` is not a list of pairs of a scenario and a data set.
    """
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


def asset_url(record: ModelRecord) -> str:
    return f"aml://asset/{record.id}"


def serialize_record(record: ModelRecord) -> dict[str, Any]:
    """The model as JSON data with v1's keys."""
    return {
        "createdTime": record.created_time,
        "createdBy": {"userName": record.created_by},
        "description": record.description,
        "id": record.id,
        "mimeType": record.mime_type,
        "name": record.name,
        "framework": record.model_framework,
        "frameworkVersion": record.model_framework_version,
        "tags": record.tags,
        "properties": record.properties,
        "unpack": False,
        "url": asset_url(record),
        "version": record.version,
        "experimentName": record.experiment_name,
        "runId": record.run_id,
        "runDetails": None,
        "datasets": record.details.get("datasets", {}),
        "resourceConfiguration": record.resource_configuration,
        "sampleInputDatasetId": record.details.get("sample_input_dataset"),
        "sampleOutputDatasetId": record.details.get("sample_output_dataset"),
        "digest": record.digest,
        "size": record.size,
    }


def _dataset_id(dataset: Any) -> str:
    if isinstance(dataset, str):
        return dataset
    return str(getattr(dataset, "id", None) or getattr(dataset, "name", None) or repr(dataset))
