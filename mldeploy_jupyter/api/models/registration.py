"""Registers a model from a local path, a run or another model: files first, the database row last."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from mldeploy_jupyter.api.arguments import WorkspaceLike, check_json_dict, check_path, check_text, find_source
from mldeploy_jupyter.api.models.json_data import check_framework, dataset_details
from mldeploy_jupyter.api.models.library_scan import scan_libraries
from mldeploy_jupyter.api.models.resource_configuration import ResourceConfiguration, check_resources
from mldeploy_jupyter.core.artifacts.file_tree import list_files
from mldeploy_jupyter.core.errors import ModelNotFoundException, WebserviceException
from mldeploy_jupyter.core.name_rules import check_model_name
from mldeploy_jupyter.core.process_identity import user_name
from mldeploy_jupyter.core.records import ModelRecord
from mldeploy_jupyter.core.runs.mlflow_model import LOGGED_MODEL_ID, open_mlflow_model
from mldeploy_jupyter.core.text import format_versions

MODEL_URI = re.compile(r"models:/+([^/]+)/(latest|\d+)")

# In MLflow: name@alias, name/version, name/stage, or the id of a model that a run logged; a path may follow.
MLFLOW_URI = re.compile(rf"models:/+({LOGGED_MODEL_ID.pattern}(?=/|$)|[^/@]+(?=@[^/@]|/.))")
RUN_URI = re.compile(r"runs:/+([^/]+)/(.+)")

# (workspace id, model id) of every model this process registered, oldest first: `%deploy` deploys the last one.
registered_here: list[tuple[str, str]] = []


def make_record(
    model_name: Any,
    *,
    tags: dict[str, Any] | None,
    properties: dict[str, Any] | None,
    description: str | None,
    datasets: list[Any] | None,
    model_framework: str | None,
    model_framework_version: str | None,
    sample_input_dataset: Any,
    sample_output_dataset: Any,
    resource_configuration: ResourceConfiguration | None,
) -> ModelRecord:
    """The record of a model to register, without its files. The arguments are those of `Model.register`.

    Raises `ConfigError` for an invalid name, `UserErrorException` or `WebserviceException` for any other argument.
    """
    check_model_name(model_name)
    check_framework(model_framework, model_framework_version)
    check_text("description", description)
    return ModelRecord(
        name=model_name,
        tags=check_json_dict("tags", tags),
        properties=check_json_dict("properties", properties),
        description=description,
        model_framework=model_framework,
        model_framework_version=model_framework_version,
        resource_configuration=check_resources(resource_configuration),
        details=dataset_details(datasets, sample_input_dataset, sample_output_dataset),
        created_by=user_name(),
    )


def register(workspace: WorkspaceLike, model_path: Any, record: ModelRecord, child_paths: Any) -> ModelRecord:
    """Registers `model_path` under the next version of `record.name` and prints one line.

    Raises what `Model.register` raises.
    """
    text = check_path("model_path", model_path, 'model_path="model.pkl"')
    if (match := MODEL_URI.fullmatch(text)) and (copied := _copy_model(workspace, match[1], match[2], record)):
        return copied
    if match := MLFLOW_URI.match(text):
        return _register_from_mlflow(workspace, text, match[1], record, child_paths)
    if match := RUN_URI.fullmatch(text):
        run = workspace.get_run(match[1])
        with run.local_copy(match[2]) as path:
            record = replace(record, run_id=run.id, experiment_name=run.experiment_name)
            return register_path(workspace, path, record, child_paths)
    return register_path(workspace, find_source(text), record, child_paths)


def register_path(workspace: WorkspaceLike, path: Path, record: ModelRecord, child_paths: Any = None) -> ModelRecord:
    """Registers a local file or folder. After an error or a kill there is no model.

    Raises `WebserviceException` for bad `child_paths`, `StorageError` when the files cannot be read or stored.
    """
    basename = Path(os.path.abspath(path)).name
    select = _select_children(path, child_paths)
    sources = list_files(path, basename, select)
    # The first access creates the workspace: only now that the arguments are known to be good.
    folder = workspace.folder
    store, artifacts = folder.open_store(), folder.open_artifacts()
    print(f"Registering model {record.name}")
    libraries = scan_libraries(sources.values())
    with artifacts.pause_sweep():
        digest, size, files = artifacts.put(path, basename=basename, select=select)
        details = {**libraries, **record.details}
        added = store.add_model(replace(record, digest=digest, size=size, files=files, details=details))
    registered_here.append((folder.id, added.id))
    return added


def _copy_model(workspace: WorkspaceLike, name: str, version: str, record: ModelRecord) -> ModelRecord | None:
    """Registers a model of the workspace under another name, or returns None when it has no such model.

    Both share their blobs, so nothing is copied.
    """
    folder = workspace.find_folder()
    if folder is None:
        return None
    store = folder.open_store()
    with folder.open_artifacts().pause_sweep():
        source = store.get_model(name, None if version == "latest" else int(version))
        if source is None:
            return None
        print(f"Registering model {record.name}")
        added = store.add_model(
            replace(
                record,
                digest=source.digest,
                size=source.size,
                files=source.files,
                model_framework=record.model_framework or source.model_framework,
                model_framework_version=record.model_framework_version or source.model_framework_version,
                run_id=source.run_id,
                experiment_name=source.experiment_name,
                details={**source.details, **record.details, "parent_id": source.id},
            )
        )
    registered_here.append((folder.id, added.id))
    return added


def _register_from_mlflow(
    workspace: WorkspaceLike, uri: str, name: str, record: ModelRecord, child_paths: Any
) -> ModelRecord:
    """Registers a copy of what MLflow has under `uri`. An error names the versions of `name` in the workspace, too."""
    try:
        with open_mlflow_model(uri) as model:
            record = replace(record, run_id=model.run_id, experiment_name=model.experiment_name)
            return register_path(workspace, model.path, record, child_paths)
    except ModelNotFoundException as error:
        folder = workspace.find_folder()
        present = [str(model.version) for model in folder.open_store().list_models(name)[:10]] if folder else []
        here = f"{format_versions(present)} of it" if present else "no model of that name"
        error.why = f"workspace {workspace.name} has {here}, and {error.why}"
        if present:
            error.hint = f"write models:/{name}/latest, or {error.hint}"
        raise


def _select_children(path: Path, child_paths: Any) -> list[str] | None:
    """`child_paths` relative to the folder `path`, None for all of it."""
    if child_paths is None:
        return None
    if not isinstance(child_paths, (list, tuple)) or not all(isinstance(c, (str, os.PathLike)) for c in child_paths):
        raise WebserviceException(
            f"child_paths is {child_paths!r}", why="it must be a list of paths", hint='such as ["model.pkl"]'
        )
    if not path.is_dir():
        raise WebserviceException(
            f"child_paths is given and model_path is a file: {path}",
            why="child_paths chooses files inside a folder",
            hint="leave them out, or register the folder",
        )
    if not child_paths:
        raise WebserviceException(
            "child_paths is an empty list", why="no file would be registered", hint="leave it out"
        )
    root = Path(os.path.abspath(path))
    return [_relative_child(root, os.fspath(child)) for child in child_paths]


def _relative_child(root: Path, child: str) -> str:
    """`child` relative to `root`, "" for `root` itself."""
    # v1 accepts a path relative to the folder, one that begins with the folder's name, and one relative to the
    # current directory.
    for candidate in (root / child, root.parent / child, Path(os.path.abspath(child))):
        path = Path(os.path.normpath(candidate))
        if path.exists() and (path == root or root in path.parents):
            return "" if path == root else path.relative_to(root).as_posix()
    present = sorted(os.listdir(root))
    raise WebserviceException(
        f"there is no {child} in the folder {root}",
        why=f"the folder has {', '.join(present[:10]) or 'nothing'}" + (" and more" if len(present) > 10 else ""),
        hint="name child_paths relative to the folder",
    )
