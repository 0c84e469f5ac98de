"""What a service has imported from outside of its bundle, to find out later whether that has changed.

Modules of installed packages are known by size, time and inode of the file that was imported: an installer replaces it.
The user's own code, such as a package that is installed with `pip install -e`, is known by the digests of all files of
its packages, also of those that are imported later or only read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MAX_FILES = 2000  # of the user's own packages; with more, every deployment counts as a change

_INSTALLED = ("site-packages", "dist-packages")

# File -> [size in bytes, time of the last change in ns, inode, SHA-256]; the digest is "" for an installed package's.
Imported = dict[str, list[Any]]


def record(modules: Mapping[str, str], app: str, since: float) -> Imported | None:
    """The files of the modules (name -> file) as they are now, without those below the working folder `app`.

    None when that cannot be told: there are too many, or one has changed since `since`, a Unix time before the import.
    """
    found: Imported = {}
    for path, installed in _files_of(modules.values(), app):
        try:
            status = os.stat(path)
            if len(found) >= MAX_FILES or (not installed and status.st_mtime > since):
                return None
            found[path] = [status.st_size, status.st_mtime_ns, status.st_ino, "" if installed else _digest(path)]
        except OSError:
            return None
    return found


def find_changed(imported: Imported) -> str:
    """The first file that is not as it was recorded, or a new one of the same packages; "" when there is none."""
    for path, (size, mtime, inode, digest) in imported.items():
        try:
            status = os.stat(path)
            if [status.st_size, status.st_mtime_ns, status.st_ino] == [size, mtime, inode]:
                continue
            if not digest or _digest(path) != digest:
                return path
        except OSError:
            return path
    own = {path for path, entry in imported.items() if entry[3]}
    packages = {path for path in own if os.path.basename(path) == "__init__.py"}
    return next((path for path, _ in _files_of(_topmost(packages), "") if path not in own), "")


def _files_of(files: Any, app: str) -> Iterator[tuple[str, bool]]:
    """The files to look at for each imported file, and whether it belongs to an installed package."""
    inside = os.path.join(app, "") if app else None
    for file in files:
        if not file or (inside and file.startswith(inside)):
            continue
        installed = any(part in _INSTALLED for part in Path(file).parts)
        folder = os.path.dirname(file) if os.path.basename(file) == "__init__.py" else file
        if not installed and os.path.isdir(folder):
            for path in _walk(folder):
                yield path, False
        else:
            yield file, installed


def _walk(folder: str) -> Iterator[str]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__" and not name.startswith("."))
        yield from (os.path.join(root, name) for name in sorted(names) if not name.endswith(".pyc"))


def _topmost(packages: set[str]) -> list[str]:
    """The `__init__.py` files of packages that are not inside another one of them."""
    folders = {os.path.dirname(path) for path in packages}
    return sorted(path for path in packages if os.path.dirname(os.path.dirname(path)) not in folders)


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
