"""The files of a model's path, and the manifest that names them."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.files import file_identity

MAX_LEVELS = 200  # of folders below each other in a model

Manifest = dict[str, list[Any]]  # relative path -> [sha256, size in bytes]


def list_files(source: Path, basename: str | None = None, select: list[str] | None = None) -> dict[str, Path]:
    """The files of `source`, a file or a folder, by the name they are registered under, sorted; hidden ones too.

    A file is registered as `<basename>`, a folder's files as `<basename>/...`; `basename` is by default the source's
    own name. `select` names the files and folders inside a folder to take, relative to it, by default all. Links inside
    the folder are followed.

    Raises:
        StorageError: a link leaves the folder or runs in a circle, something is neither a file nor a folder, a name is
            not UTF-8, folders are nested more than 200 levels deep, or there is no file.
    """
    name = basename or Path(os.path.abspath(source)).name
    try:
        if not source.is_dir():
            return {_checked(name): _regular(source)}
        root = source.resolve()
        files: dict[str, Path] = {}
        for start in select or [""]:
            _walk(root / start, root, PurePosixPath(name, start), files, ())
    except OSError as error:
        raise unreadable(source, error) from error
    if not files:
        raise StorageError(
            f"the folder holds no file: {source}",
            why="a model is at least one file",
            hint="save the model into it first",
        )
    return dict(sorted(files.items()))


def manifest_digest(files: Manifest) -> str:
    """The SHA-256 of the manifest: equal for equal names and contents."""
    text = json.dumps(files, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def total_size(files: Iterable[Path]) -> int:
    """The bytes of all files together. Raises `StorageError` when one has vanished."""
    size = 0
    for path in files:
        try:
            size += path.stat().st_size
        except OSError as error:
            raise unreadable(path, error) from error
    return size


def unreadable(path: Path, error: OSError) -> StorageError:
    """The error for a file of the model that could not be read."""
    filename = error.filename if isinstance(error.filename, str) else str(path)
    if isinstance(error, FileNotFoundError):
        return StorageError(
            f"a file vanished while it was read: {filename}",
            why="it was there a moment ago; another program removed or renamed it",
            hint="wait until the model is saved whole, then register it again; nothing was registered",
        )
    return StorageError(
        f"a file could not be read: {filename}",
        why=error.strerror or str(error),
        hint=f"check its permissions: ls -l {filename}",
    )


def _walk(
    path: Path, root: Path, name: PurePosixPath, files: dict[str, Path], parents: tuple[tuple[int, int], ...]
) -> None:
    """Adds `path`, to be registered as `name`, and everything below it to `files`. `parents` finds circles."""
    if path.is_symlink() and not path.exists():
        raise StorageError(
            f"a link leads nowhere: {path}",
            why=f"it points to {os.readlink(path)}, which is not there",
            hint=f"rm {path}, or put the file in its place",
        )
    real = path.resolve() if path.is_symlink() else path
    if real != root and root not in real.parents:
        raise StorageError(
            f"a link leads out of the model's folder: {path}",
            why=f"it points to {real}",
            hint=f"put a copy in its place: cp -rL {root} COPY, then register COPY",
        )
    if not real.is_dir():
        files[_checked(str(name))] = _regular(real)
        return
    identity = file_identity(real.stat())
    if len(parents) > MAX_LEVELS:
        raise StorageError(
            f"the folder is nested too deeply: {root}",
            why=f"it has more than {MAX_LEVELS} levels of folders",
            hint="move the files of the model up, or pack them into one file",
        )
    if identity in parents:
        raise StorageError(
            f"a link points back to a folder above it: {path}",
            why=f"it points to {real}, which contains it",
            hint=f"rm {path}",
        )
    for child in sorted(os.listdir(real)):
        _walk(real / child, root, name / child, files, (*parents, identity))


def _regular(path: Path) -> Path:
    """The path of a regular file. Raises `StorageError` for a socket, pipe or device."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "socket" if stat.S_ISSOCK(mode) else "pipe" if stat.S_ISFIFO(mode) else "device"
        raise StorageError(
            f"this is neither a file nor a folder: {path}",
            why=f"it is a {kind}",
            hint="move it out of the model's folder",
        )
    return path


def _checked(name: str) -> str:
    """The name, if it is valid UTF-8. Raises `StorageError` otherwise."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise StorageError(
            f"the name of a file is not valid UTF-8: {name.encode('utf-8', 'backslashreplace').decode()}",
            why="such a name cannot be kept and found again on other machines",
            hint="rename the file",
        ) from None
    return name
