"""The scoring server's source files, which every bundle contains.

Paths are plain strings, because an update examines about a hundred files while the user waits.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.file_digests import find_digest
from mldeploy_jupyter.core.files import copy_private, make_private_dir

PACKAGE = "mldeploy_serving"  # the package's name inside a bundle

ROOT = str(Path(__file__).absolute().parents[2] / "serving")


def read_files() -> dict[str, list[Any]]:
    """The server's source files: relative path -> [sha256, size in bytes], sorted. Raises `OSError`."""
    files = {}
    for name, entry in _walk(ROOT, ""):
        files[name] = list(find_digest(entry.path))
    return dict(sorted(files.items()))


def compute_digest(files: dict[str, list[Any]]) -> str:
    """The digest that tells versions of the server apart; `files` as `read_files` returns them."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def link_package(folder: Path) -> Path:
    """Makes the installed server importable from `folder` under its name in a bundle. Returns `folder`.

    Raises `OSError`.
    """
    link = folder / PACKAGE
    with suppress(OSError):
        if os.readlink(link) == ROOT:
            return folder
    make_private_dir(folder)
    temporary = folder / f".{PACKAGE}.{os.getpid()}.{os.urandom(3).hex()}"
    os.symlink(ROOT, temporary)
    os.replace(temporary, link)  # a link that another installation made points elsewhere
    return folder


def install_files(files: dict[str, list[Any]], target: str) -> None:
    """Copies the files into the folder `target`. Raises `OSError`.

    No links: the files of a bundle must not change with those of another one.
    """
    for folder in sorted({os.path.dirname(name) for name in files}):
        make_private_dir(Path(target, folder))
    for name in files:
        copy_private(os.path.join(ROOT, name), os.path.join(target, name))


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name != "__pycache__":
                    yield from _walk(entry.path, f"{prefix}{entry.name}{os.sep}")
            elif not entry.name.endswith(".pyc"):
                yield prefix + entry.name, entry
