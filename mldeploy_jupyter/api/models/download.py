"""Copies a model's files into a folder of the user's: the body of `Model.download`."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from mldeploy_jupyter.api.arguments import check_path
from mldeploy_jupyter.core.errors import WebserviceException
from mldeploy_jupyter.core.records import ModelRecord
from mldeploy_jupyter.core.storage_errors import explain_write_errors, require_files
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


def download(folder: WorkspaceFolder, record: ModelRecord, target_dir: str | os.PathLike[str], *, replace: bool) -> str:
    """Copies the model into `target_dir` and returns its path. No file is replaced before all are copied and verified.

    Raises `WebserviceException` when something is in the way, `UserErrorException` when `target_dir` is not a path,
    `StorageError` when a file is damaged or cannot be written.
    """
    target = Path(check_path("target_dir", target_dir, "'models'")).expanduser()
    _check_targets(target, record, replace=replace)
    staged = target / f".mldeploy-download-{secrets.token_hex(4)}"
    try:
        with explain_write_errors(target, record.size):
            target.mkdir(parents=True, exist_ok=True)
            folder.open_artifacts().materialize(require_files(record), staged, private=False)
            for name in record.files:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(staged / name, target / name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return str(target / next(iter(record.files)).split("/")[0])


def _check_targets(target: Path, record: ModelRecord, *, replace: bool) -> None:
    """Raises `WebserviceException` when a file of the model cannot be written below `target`, or may not be."""
    names = record.files
    parents = [parent for name in names for parent in (target / name).parents]
    file = next((parent for parent in parents if parent.exists() and not parent.is_dir()), None)
    if file is not None:
        raise WebserviceException(
            f"there is a file where a folder should go: {file}",
            why=f"the files of model {record.id} go into that folder",
            hint="choose another folder, or rename the file",
        )
    present = [name for name in names if os.path.lexists(target / name)]
    if present and not replace:
        raise WebserviceException(
            f"there is already a file {target / present[0]}",
            why=f"{len(present)} of {len(names)} files of model {record.id} would replace existing ones",
            hint="choose another folder, or replace them with exist_ok=True (--overwrite)",
        )
    for name in present:
        if (target / name).is_dir():
            raise WebserviceException(
                f"there is a folder where a file should go: {target / name}",
                why=f"it is the place of a file of model {record.id}",
                hint="choose another folder",
            )
