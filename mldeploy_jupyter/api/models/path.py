"""Finds the path of a model's files, in a service and in a notebook: the body of `Model.get_model_path`.

v1 returned any path of the model's name in the current directory, failed on a stray `.ipynb_checkpoints`, and
downloaded into the current directory. Here only the folders below are searched, stray entries are skipped, and the
files of a workspace's model are kept in its cache.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mldeploy_jupyter.api.arguments import WorkspaceLike
from mldeploy_jupyter.core.errors import ModelNotFoundException, WebserviceException
from mldeploy_jupyter.core.files import make_private_dir
from mldeploy_jupyter.core.records import ModelRecord
from mldeploy_jupyter.core.storage_errors import require_files
from mldeploy_jupyter.core.workspace import folder as folders
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

MODELS = "azureml-models"


def find_model_path(
    name: str, version: Any, workspace: WorkspaceLike | None, *, environ: Mapping[str, str] = os.environ
) -> str:
    """The path of the model's file or folder; without `version` that of the highest one.

    Searches the service's folder `AZUREML_MODEL_DIR`, then the workspace, then `azureml-models/` in `AML_APP_ROOT` or
    the current directory. Raises `ModelNotFoundException` that lists them, `WebserviceException` when `version` is not
    an integer.
    """
    if version is not None and type(version) is not int:
        raise WebserviceException(
            f"version is {version!r}",
            why="it must be a whole number",
            hint=f"Model.get_model_path({name!r}, version=1)",
        )
    searched: list[str] = []
    model_dir = environ.get("AZUREML_MODEL_DIR")
    if model_dir:
        root = _models_root(Path(model_dir))
        searched.append(str(root.absolute()))
        if found := _find_in_tree(root, name, version):
            return found
    folder = workspace.find_folder() if workspace is not None else folders.find_workspace(environ=environ)
    if folder is not None:
        searched.append(f"workspace {folder.config.name} ({folder.root})")
        record = folder.open_store().get_model(name, version)
        if record is not None:
            return str(_materialize_in_cache(folder, record))
    root = Path(environ.get("AML_APP_ROOT", ".")) / MODELS
    searched.append(str(root.absolute()))
    if found := _find_in_tree(root, name, version):
        return found
    hint = "mldeploy model list"
    if os.path.exists(name):
        hint = f"a path of that name is here; register it: mldeploy model register -n MODEL_NAME -p {name}"
    raise ModelNotFoundException(
        f"there is no model {name}" + (f", version {version}" if version is not None else ""),
        why=f"looked in {', '.join(searched)}",
        hint=hint,
    )


def _models_root(model_dir: Path) -> Path:
    """The root of all models: AZUREML_MODEL_DIR is the folder of a service's only model, or the root of several."""
    for candidate in (model_dir, *model_dir.parents):
        if candidate.name == MODELS:
            return candidate
    return model_dir


def _find_in_tree(root: Path, name: str, version: int | None) -> str | None:
    """`<root>/<name>/<version>`: its only entry, or the folder itself when it has several."""
    try:
        versions = [int(entry) for entry in os.listdir(root / name) if entry.isascii() and entry.isdigit()]
    except OSError:
        return None
    chosen = version if version is not None else max(versions, default=None)
    if chosen is None or chosen not in versions:
        return None
    folder = root / name / str(chosen)
    entries = [entry for entry in os.listdir(folder) if entry != ".ipynb_checkpoints"]
    if not entries:
        return None
    return str(folder / entries[0]) if len(entries) == 1 else str(folder)


def _materialize_in_cache(folder: WorkspaceFolder, record: ModelRecord) -> Path:
    """The model's path in the workspace's cache. A version never changes, so an existing copy is valid."""
    cached = folder.root / "cache" / "models" / record.name / f"{record.version}"
    if not cached.is_dir():
        make_private_dir(cached.parent)
        staged = cached.with_name(f".{record.version}.{secrets.token_hex(4)}")
        try:
            # Copies, not links to the blobs: a script may write beside or into its model.
            folder.open_artifacts().materialize(require_files(record), staged)
            staged.rename(cached)
        except OSError:
            if not cached.is_dir():  # otherwise another process was faster
                raise
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return cached / next(iter(record.files)).split("/")[0]
