"""Where a model's bytes come from, and the registration itself: bytes first, the row last."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from mldeploy_jupyter.api.arguments import WorkspaceLike, check_path, find_source
from mldeploy_jupyter.api.models.library_scan import describe
from mldeploy_jupyter.core.artifacts.file_tree import list_files
from mldeploy_jupyter.core.errors import ModelNotFoundException, UserErrorException, WebserviceException
from mldeploy_jupyter.core.records import ModelRecord

# Ids of workspace and model for what this process registered, oldest first: a notebook's session knows its own.
registered_here: list[tuple[str, str]] = []


def register(workspace: WorkspaceLike, model_path: Any, record: ModelRecord, child_paths: Any) -> ModelRecord:
    """Registers what `model_path` names under the next version of `record.name` and says so in one line."""
    text = check_path("model_path", model_path, 'model_path="model.pkl"')
    if match := re.fullmatch(r"models:/+([^/]+)/([^/]+)", text):
        return _copy(workspace, match[1], match[2], record)
    if match := re.fullmatch(r"runs:/+([^/]+)/(.+)", text):
        from mldeploy_jupyter.api.runs.run import Run

        run = Run(workspace, match[1])
        with run._local_copy(match[2]) as path:
            record = replace(record, run_id=run.id, experiment_name=run.experiment_name)
            return register_path(workspace, path, record, child_paths)
    return register_path(workspace, find_source(text), record, child_paths)


def register_path(workspace: WorkspaceLike, path: Path, record: ModelRecord, child_paths: Any = None) -> ModelRecord:
    """Registers a local file or folder. All or nothing."""
    basename = Path(os.path.abspath(path)).name
    select = _children(path, child_paths)
    files_there = list_files(path, basename, select)
    folder = workspace.folder
    store, artifacts = folder.open_store(), folder.open_artifacts()
    print(f"Registering model {record.name}")
    libraries = describe(files_there.values())
    with artifacts.pause_sweep():
        digest, size, files = artifacts.put(path, basename=basename, select=select)
        details = {**libraries, **record.details}
        added = store.add_model(replace(record, digest=digest, size=size, files=files, details=details))
    registered_here.append((folder.id, added.id))
    return added


def _copy(workspace: WorkspaceLike, name: str, version: str, record: ModelRecord) -> ModelRecord:
    """A registered model under another name: the same content, so no byte is copied."""
    if version != "latest" and not version.isdigit():
        raise UserErrorException(
            f"model_path is 'models:/{name}/{version}'",
            why="after the name comes a version number or the word latest",
            hint=f"models:/{name}/latest",
        )
    folder = workspace.folder
    store = folder.open_store()
    with folder.open_artifacts().pause_sweep():
        source = store.get_model(name, None if version == "latest" else int(version))
        if source is None:
            there = ", ".join(str(model.version) for model in store.list_models(name)[:10])
            raise ModelNotFoundException(
                f"there is no model {name}, version {version}",
                why=f"it has version {there}" if there else f"workspace {workspace.name} has no model of that name",
                hint="mldeploy model list",
            )
        print(f"Registering model {record.name}")
        copied = replace(
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
        added = store.add_model(copied)
    registered_here.append((folder.id, added.id))
    return added


def _children(path: Path, child_paths: Any) -> list[str] | None:
    """`child_paths` relative to the folder: given so, or with the folder's name before, or from here."""
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
    return [_child(root, os.fspath(child)) for child in child_paths]


def _child(root: Path, child: str) -> str:
    for candidate in (root / child, root.parent / child, Path(os.path.abspath(child))):
        place = Path(os.path.normpath(candidate))
        if place.exists() and (place == root or root in place.parents):
            return "" if place == root else place.relative_to(root).as_posix()
    there = sorted(os.listdir(root))
    raise WebserviceException(
        f"there is no {child} in the folder {root}",
        why=f"the folder has {', '.join(there[:10]) or 'nothing'}" + (" and more" if len(there) > 10 else ""),
        hint="name child_paths relative to the folder",
    )
