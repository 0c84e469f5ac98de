"""The scoring server's files in bundles: the same in nearly all, so they are read once and then linked.

What is remembered is this process's own; a file that has changed since (its number, size or time) is read again.
Names are text, not paths: eighty of them are looked at in every update, while the user waits.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

PACKAGE = "mldeploy_serving"  # its name in a bundle

Identity = tuple[int, ...]

ROOT = str(Path(__file__).absolute().parents[2] / "serving")

_digests: dict[str, tuple[Identity, list[Any]]] = {}  # by path

_placed: dict[str, tuple[str, Identity, list[Any]]] = {}  # by name: where a bundle has it


def read_files() -> dict[str, list[Any]]:
    """SHA-256 and size of each of the serving room's own files, found without importing it. Raises `OSError`."""
    found = {}
    for name, entry in _walk(ROOT, ""):
        identity = _identity(entry.stat())
        known = _digests.get(entry.path)
        if known is None or known[0] != identity:
            with open(entry.path, "rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            known = _digests[entry.path] = (identity, [content, identity[1]])
        found[name] = known[1]
    return dict(sorted(found.items()))


def link_package(folder: Path) -> Path:
    """Makes the serving room importable from `folder` under its name in a bundle, as it is installed here."""
    place = folder / PACKAGE
    with suppress(OSError):
        if os.readlink(place) == ROOT:
            return folder
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{PACKAGE}.{os.getpid()}.{os.urandom(3).hex()}"
    os.symlink(ROOT, temporary)
    os.replace(temporary, place)  # one that another installation made leads elsewhere
    return folder


def install_files(files: dict[str, list[Any]], target: str) -> dict[str, Identity]:
    """Puts what `read` found into the folder `target`: linked to the bundle that got it last, copied else.

    Returns what `settle` is to be told. Raises `OSError`.
    """
    for folder in sorted({os.path.dirname(name) for name in files}):
        os.makedirs(os.path.join(target, folder), exist_ok=True)
    return {name: _place(name, content, os.path.join(target, name)) for name, content in files.items()}


def remember_bundle(files: dict[str, list[Any]], target: str, placed: dict[str, Identity]) -> None:
    """Remembers that a finished bundle has the files in the folder `target`."""
    for name, identity in placed.items():
        _placed[name] = (os.path.join(target, name), identity, files[name])


def _place(name: str, content: list[Any], target: str) -> Identity:
    there = _placed.get(name)
    try:
        if there is not None and there[2] == content and _identity(os.stat(there[0])) == there[1]:
            os.link(there[0], target)
            return there[1]
    except OSError:  # the bundle is gone, or the file system has no links
        pass
    shutil.copyfile(os.path.join(ROOT, name), target)
    return _identity(os.stat(target))


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _walk(entry.path, f"{prefix}{entry.name}{os.sep}")
            elif not entry.name.endswith(".pyc"):
                yield prefix + entry.name, entry


def _identity(found: os.stat_result) -> Identity:
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_dev
