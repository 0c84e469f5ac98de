"""A run's files on their way in and out: names, uploads, folders and copies."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mldeploy_jupyter.api.runs.backend import RunBackend
from mldeploy_jupyter.core.errors import UserErrorException, WebserviceException


def check_file_name(name: Any) -> str:
    """Returns the name with `/` and without `./`. Raises `WebserviceException` when it is absolute or has `..`."""
    path = PurePosixPath(str(name).replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or str(path) in (".", ""):
        raise WebserviceException(
            f"{str(name)!r} is not a name inside a run",
            why="it must be relative and may not hold '..'",
            hint="such as outputs/model.pkl",
        )
    return str(path)


def upload(backend: RunBackend, name: str, path_or_stream: Any) -> None:
    """Uploads a file or the content of a binary stream. Raises `UserErrorException` for anything else."""
    if hasattr(path_or_stream, "read"):
        with tempfile.TemporaryDirectory(prefix="mldeploy-run-") as folder:
            copy = Path(folder) / "stream"
            with copy.open("wb") as file:
                try:
                    shutil.copyfileobj(path_or_stream, file)
                except TypeError:
                    raise UserErrorException(
                        f"{name} cannot be kept",
                        why="the stream gives text, not bytes",
                        hint='open it with mode "rb"',
                    ) from None
            backend.upload_file(name, copy)
        return
    if not isinstance(path_or_stream, (str, os.PathLike)):
        raise UserErrorException(
            f"{path_or_stream!r} cannot be kept as {name}",
            why="it is neither a path nor a binary stream",
            hint=f"save it to a file, then run.upload_file({name!r}, PATH)",
        )
    path = Path(path_or_stream).expanduser()
    if not path.is_file():
        raise UserErrorException(
            f"there is no file {path}",
            why=f"it was looked for in {path.absolute().parent}",
            hint="save it first, then upload it",
        )
    backend.upload_file(name, path)


def walk_folder(folder: str | Path) -> Iterator[tuple[Path, str]]:
    """The files below `folder`, each with its relative name. Raises `UserErrorException` when it is not a folder."""
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise UserErrorException(
            f"there is no folder {root}",
            why="it is a file" if root.exists() else f"it was looked for in {root.absolute().parent}",
            hint="for one file: run.upload_file(name, path)",
        )
    for path in sorted(root.rglob("*")):
        if path.is_file():
            yield path, path.relative_to(root).as_posix()


def copy_file(path: Path, target: Path, name: str) -> None:
    """Copies a run's file to `target`, or into it when it is a folder.

    Raises `UserErrorException` when `path` is a folder; `name` is its name in the run.
    """
    if path.is_dir():
        raise UserErrorException(
            f"{name} is a folder", why="one file is copied at a time", hint=f"run.download_files(prefix={name!r})"
        )
    if target.is_dir():
        target = target / PurePosixPath(name).name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
