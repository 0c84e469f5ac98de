"""The body of `Model.download`, which has its documentation."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from mldeploy_jupyter.api.arguments import check_path
from mldeploy_jupyter.core.errors import WebserviceException
from mldeploy_jupyter.core.storage_errors import explain_write_errors

if TYPE_CHECKING:
    from mldeploy_jupyter.api.models.model import Model


def download(model: Model, target_dir: str | os.PathLike[str], *, replace: bool) -> str:
    """Whole and verified first; only then does anything take its place."""
    files = model._record.files
    target = Path(check_path("target_dir", target_dir, "'models'")).expanduser()
    folders = [folder for name in files for folder in (target / name).parents]
    file = next((folder for folder in folders if folder.exists() and not folder.is_dir()), None)
    if file is not None:
        raise WebserviceException(
            f"there is a file where a folder should go: {file}",
            why=f"the files of model {model.id} go into that folder",
            hint="choose another folder, or rename the file",
        )
    there = [name for name in files if os.path.lexists(target / name)]
    if there and not replace:
        raise WebserviceException(
            f"there is already a file {target / there[0]}",
            why=f"{len(there)} of {len(files)} files of model {model.id} would replace existing ones",
            hint="choose another folder, or replace them with exist_ok=True (--overwrite)",
        )
    for name in there:
        if (target / name).is_dir():
            raise WebserviceException(
                f"there is a folder where a file should go: {target / name}",
                why=f"it is the place of a file of model {model.id}",
                hint="choose another folder",
            )
    staged = target / f".mldeploy-download-{secrets.token_hex(4)}"
    try:
        with explain_write_errors(target, model._record.size):
            target.mkdir(parents=True, exist_ok=True)
            model.workspace.folder.open_artifacts().materialize(files, staged, link=False)
            for name in files:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(staged / name, target / name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return str(target / next(iter(files)).split("/")[0])
