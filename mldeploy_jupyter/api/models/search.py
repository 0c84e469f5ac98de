"""Finds registered models by name, version, tags, properties, run, framework and data set."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field
from typing import Any

from mldeploy_jupyter.api.arguments import WorkspaceLike, check_text
from mldeploy_jupyter.api.tag_filters import Filter, describe_filter, matches, parse_filter
from mldeploy_jupyter.core.errors import ModelNotFoundException, UserErrorException, WebserviceException
from mldeploy_jupyter.core.records import ModelRecord
from mldeploy_jupyter.core.text import format_versions


@dataclass(frozen=True)
class ModelFilter:
    """Criteria for a model beside its name; None and an empty filter accept every model."""

    tags: Filter = field(default_factory=list)
    properties: Filter = field(default_factory=list)
    run_id: str | None = None
    model_framework: str | None = None
    dataset_id: str | None = None

    @classmethod
    def parse(cls, tags: Any, properties: Any, **fields: str | None) -> ModelFilter:
        """The filter from the arguments of `Model.list`. Raises `UserErrorException` for bad tags or properties."""
        for name, value in fields.items():
            check_text(name, value)
        return cls(parse_filter("tags", tags), parse_filter("properties", properties), **fields)

    def accepts(self, record: ModelRecord) -> bool:
        return (
            matches(record.tags, self.tags)
            and matches(record.properties, self.properties)
            and self.run_id in (None, record.run_id)
            and self.model_framework in (None, record.model_framework)
            and (self.dataset_id is None or self.dataset_id in json.dumps(record.details.get("datasets", {})))
        )


def list_records(
    workspace: WorkspaceLike, name: str | None, wanted: ModelFilter, *, latest: bool = False
) -> list[ModelRecord]:
    """The models that `wanted` accepts, newest first; `latest` keeps the highest version of each name."""
    folder = workspace.find_folder()
    records = folder.open_store().list_models(name, latest) if folder else []
    return [record for record in records if wanted.accepts(record)]


def find_record(
    workspace: WorkspaceLike, name: str | None, id: str | None, version: Any, wanted: ModelFilter
) -> ModelRecord:
    """The highest version that fits. `id` is `name:version` and takes precedence over `name` and `version`.

    Raises `ModelNotFoundException` when no model fits, `WebserviceException` without a name and an id,
    `UserErrorException` for a version that is not a number.
    """
    if not id and not name:
        raise WebserviceException(
            "neither name nor id of the model is given",
            why="one of them says which model is meant",
            hint='Model(ws, "name"), Model(ws, id="name:1"), or Model.list(ws)',
        )
    if id:
        name, _, version = str(id).rpartition(":")
    number = _parse_version(version, id)
    if number is not None or wanted == ModelFilter():
        folder = workspace.find_folder()
        record = folder.open_store().get_model(str(name), number) if folder else None
        fitting = [record] if record is not None and wanted.accepts(record) else []
    else:
        fitting = list_records(workspace, name, wanted)
    if not fitting:
        raise _not_found(workspace, name, number, wanted)
    return max(fitting, key=lambda record: record.version)


def _parse_version(version: Any, id: str | None) -> int | None:
    if version is None:
        return None
    if type(version) is int:
        return version
    if isinstance(version, str) and version.isascii() and version.isdigit():
        return int(version)
    if id:
        raise UserErrorException(f"id is {id!r}", why="an id is name:version", hint='such as id="my-model:1"')
    raise UserErrorException(f"version is {version!r}", why="it must be a whole number", hint="such as version=1")


def _not_found(
    workspace: WorkspaceLike, name: str | None, version: int | None, wanted: ModelFilter
) -> ModelNotFoundException:
    """The error that repeats the criteria and lists the versions or models that exist."""
    criteria = {
        "the name": name,
        "version": version,
        "tags": describe_filter(wanted.tags),
        "properties": describe_filter(wanted.properties),
        "run_id": wanted.run_id,
        "model_framework": wanted.model_framework,
    }
    given = ", ".join(f"{key} {value}" for key, value in criteria.items() if value not in (None, ""))
    folder = workspace.find_folder()
    store = folder.open_store() if folder else None
    hint = "list the models: mldeploy model list"
    if store is None:
        present = f"there is no workspace in {workspace.start} or above it yet"
    elif versions := [str(record.version) for record in store.list_models(name)[:10]]:
        present = f"model {name} has {format_versions(versions)}"
    else:
        names = sorted({record.name for record in store.list_models(latest=True)})
        present = f"workspace {workspace.name} has no models"
        if names:
            present = f"models in workspace {workspace.name}: {', '.join(names[:10])}"
        if near := difflib.get_close_matches(name or "", names, n=1):
            hint = f"did you mean {near[0]!r}?"
    return ModelNotFoundException(f"no model has {given}", why=present, hint=hint)
