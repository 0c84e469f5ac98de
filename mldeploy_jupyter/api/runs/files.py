"""Uploads and downloads of a run's files."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import Any

from mldeploy_jupyter.api.arguments import check_json_dict
from mldeploy_jupyter.core.errors import UserErrorException, WebserviceException
from mldeploy_jupyter.core.runs.backend import RunBackend


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


def log_picture(backend: RunBackend, name: str, path: Any = None, plot: Any = None) -> None:
    """Uploads the picture `path`, or `plot` drawn as PNG, under `name` with its ending, and a number if that is taken.

    Raises `UserErrorException` when neither or both are given, or `plot` has no `savefig`.
    """
    name = check_file_name(name)
    if (path is None) == (plot is None):
        raise UserErrorException(
            f"the picture {name!r} has {'no content' if path is None else 'two contents'}",
            why="it is a file or a plot",
            hint="pass either path= or plot=",
        )
    if path is not None:
        suffix = PurePosixPath(str(path)).suffix
        upload(backend, _free_name(backend, name, suffix), path)
        return
    if not hasattr(plot, "savefig"):
        raise UserErrorException(
            f"the plot {name!r} is {plot!r}",
            why="it must be matplotlib's pyplot or a figure of it",
            hint="pass plot=plt, or save the picture and pass path=",
        )
    with tempfile.TemporaryDirectory(prefix="mldeploy-run-") as folder:
        picture = Path(folder) / "plot.png"
        plot.savefig(picture, bbox_inches="tight")
        backend.upload_file(_free_name(backend, name, ".png"), picture)


def log_json(backend: RunBackend, name: str, value: Any) -> None:
    """Uploads a dict, or JSON text, as `name.json`. Raises `WebserviceException` for anything else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    data = json.dumps(check_json_dict(name, value if value is not None else "no JSON"))
    upload(backend, _free_name(backend, check_file_name(name), ".json"), io.BytesIO(data.encode()))


def _free_name(backend: RunBackend, name: str, suffix: str) -> str:
    """`name` with `suffix`, and a number before it when the run has such a file."""
    stem, taken = name.removesuffix(suffix), set(backend.list_files())
    numbered = (f"{stem}_{number}{suffix}" for number in count(1))
    return next(candidate for candidate in chain([f"{stem}{suffix}"], numbered) if candidate not in taken)


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
