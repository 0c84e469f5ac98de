"""The scoring server's files in bundles: the same in nearly all, so they are read once and then linked.

What is remembered is this process's own; a file that has changed since (its number, size or time) is read again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

Identity = tuple[int, ...]

_digests: dict[Path, tuple[Identity, list[Any]]] = {}
_placed: dict[str, tuple[Path, Identity, list[Any]]] = {}  # by name: where a bundle has it


def digest(path: Path) -> list[Any]:
    """SHA-256 and size of one of the server's own files. Raises `OSError`."""
    identity = _identity(path)
    known = _digests.get(path)
    if known is None or known[0] != identity:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        known = _digests[path] = (identity, [content, identity[1]])
    return known[1]


def place(name: str, path: Path, target: Path) -> Identity:
    """Puts the file `path` at `target`: linked to the bundle that got it last, copied else. Raises `OSError`.

    Returns what `settle` is to be told.
    """
    there, known = _placed.get(name), _digests.get(path)
    try:
        if there is not None and known is not None and there[2] == known[1] and _identity(there[0]) == there[1]:
            os.link(there[0], target)
            return there[1]
    except OSError:  # the bundle is gone, or the file system has no links
        pass
    shutil.copyfile(path, target)
    return _identity(target)


def settle(name: str, path: Path, target: Path, identity: Identity) -> None:
    """Remembers that a finished bundle has the file `path` at `target`."""
    known = _digests.get(path)
    if known is not None:
        _placed[name] = (target, identity, known[1])


def _identity(path: Path) -> Identity:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_dev
