from __future__ import annotations

from typing import Any

from mldeploy_jupyter.api.arguments import WorkspaceLike
from mldeploy_jupyter.api.tag_filters import describe, matches, parse_filter
from mldeploy_jupyter.core.errors import ModelNotFoundException, UserErrorException, WebserviceException
from mldeploy_jupyter.core.records import ModelRecord


def find_record(
    workspace: WorkspaceLike,
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
    folder = workspace.find_folder()
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
        there = f"there is no workspace in {workspace.start} or above it yet"
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
