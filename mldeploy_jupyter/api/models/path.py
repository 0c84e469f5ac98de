"""`Model.get_model_path`: where a model's files are, in a service and in a notebook.

v1 returned any path of the model's name in the current directory, failed on a stray `.ipynb_checkpoints`, and
downloaded into the current directory. Here nothing is guessed, strays are skipped, and the workspace has a cache.
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
from mldeploy_jupyter.core.workspace import folder as folders
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

MODELS = "azureml-models"


def find_model_path(
    name: str, version: Any, workspace: WorkspaceLike | None, *, environ: Mapping[str, str] = os.environ
) -> str:
    """The path; see `Model.get_model_path`."""
    if version is not None and type(version) is not int:
        raise WebserviceException(
            f"version is {version!r}",
            why="it must be a whole number",
            hint=f"Model.get_model_path({name!r}, version=1)",
        )
    looked: list[str] = []
    service = environ.get("AZUREML_MODEL_DIR")
    if service:
        found = _in_tree(_models_root(Path(service)), name, version, looked)
        if found:
            return found
    folder = workspace.find_folder() if workspace is not None else folders.find_workspace(environ=environ)
    if folder is not None:
        record = folder.open_store().get_model(name, version)
        if record is not None:
            return str(_cached(folder, record))
        looked.append(f"workspace {folder.config.name} ({folder.root})")
    root = Path(environ.get("AML_APP_ROOT", ".")) / MODELS
    found = _in_tree(root, name, version, looked)
    if found:
        return found
    hint = "mldeploy model list"
    if os.path.exists(name):
        hint = f"a path of that name is here; register it: mldeploy model register -n MODEL_NAME -p {name}"
    raise ModelNotFoundException(
        f"there is no model {name}" + (f", version {version}" if version is not None else ""),
        why=f"looked in {', '.join(looked)}",
        hint=hint,
    )


def _models_root(folder: Path) -> Path:
    """AZUREML_MODEL_DIR is the folder of the one model, or the root of several."""
    for candidate in (folder, *folder.parents):
        if candidate.name == MODELS:
            return candidate
    return folder


def _in_tree(root: Path, name: str, version: int | None, looked: list[str]) -> str | None:
    """`<root>/<name>/<version>`: its one entry, or the folder itself when it has several."""
    looked.append(str(root.absolute()))
    try:
        versions = [int(entry) for entry in os.listdir(root / name) if entry.isascii() and entry.isdigit()]
    except OSError:
        return None
    chosen = version if version is not None else max(versions, default=None)
    if chosen is None or chosen not in versions:
        return None
    place = root / name / str(chosen)
    entries = [entry for entry in os.listdir(place) if entry != ".ipynb_checkpoints"]
    if not entries:
        return None
    return str(place / entries[0]) if len(entries) == 1 else str(place)


def _cached(folder: WorkspaceFolder, record: ModelRecord) -> Path:
    """The model in the workspace's cache. A version never changes, so what is there is right."""
    place = folder.root / "cache" / "models" / record.name / f"{record.version}"
    if not place.is_dir():
        make_private_dir(place.parent)
        staged = place.with_name(f".{record.version}.{secrets.token_hex(4)}")
        try:
            # Copies, not links to the blobs: a script may write beside or into its model.
            folder.open_artifacts().materialize(record.files, staged, link=False)
            staged.rename(place)
        except OSError:
            if not place.is_dir():  # another process was faster otherwise
                raise
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return place / next(iter(record.files)).split("/")[0]
