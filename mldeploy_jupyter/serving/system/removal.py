"""Removes folders that scripts could write to, whatever they contain."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import Any

ATTEMPTS = 100  # to remove a folder in which other processes make files meanwhile; each of them makes a few at most

# What an attempt fails with where something was made, or removed, by another process meanwhile.
CHANGED_MEANWHILE = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT}


def remove_tree(path: Path) -> list[OSError]:
    """Removes a folder and what is below it, as far as possible; follows no link. Returns why the rest is left.

    A file or a link in its place is removed, too, and folders without rights get them first. What another process
    makes in it meanwhile, such as a line about a service that just ended, is removed as well.
    """
    errors: list[OSError] = []
    for _ in range(ATTEMPTS):
        errors = _remove_once(path)
        if _is_gone(path):
            return []
        if any(error.errno not in CHANGED_MEANWHILE for error in errors):
            break
    return errors


def _is_gone(path: Path) -> bool:
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno in (errno.ENOENT, errno.ENOTDIR)
    return False


def _remove_once(path: Path) -> list[OSError]:
    """Removes what is there. Returns what could not be removed, and why.

    `shutil.rmtree` calls itself for each level, and fails with a `RecursionError` below about a thousand.
    """
    errors: list[OSError] = []
    try:
        path.unlink()
        return errors
    except OSError:
        pass  # a folder, or nothing

    def collect(_call: Any, _path: str, info: Any) -> None:
        errors.append(info[1])

    try:
        try:
            shutil.rmtree(path, onerror=collect)
            if any(isinstance(error, PermissionError) for error in errors) and _open_folders(path):
                errors.clear()
                shutil.rmtree(path, onerror=collect)
        except RecursionError:
            errors.clear()
            _flatten(path)
            shutil.rmtree(path, onerror=collect)
    except (OSError, RecursionError) as error:
        why = "its folders are nested too deeply"
        errors.append(error if isinstance(error, OSError) else OSError(errno.ENAMETOOLONG, why, str(path)))
    return errors


def _open_folders(path: Path) -> bool:
    """Gives the owner every right on the folders at and below `path`. Returns whether one of them lacked some."""
    changed, folders = False, [os.fspath(path)]
    while folders:
        folder = folders.pop()
        with contextlib.suppress(OSError):
            if os.lstat(folder).st_mode & 0o700 != 0o700:
                os.chmod(folder, 0o700)
                changed = True
            with os.scandir(folder) as entries:
                folders += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    return changed


def _flatten(path: Path) -> None:
    """Moves every folder below `path` up into it. Raises `OSError` when `path` cannot be opened."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    top = os.open(path, flags)
    try:
        names = [entry.name for entry in os.scandir(top) if entry.is_dir(follow_symlinks=False)]
        moved = 0
        while names:
            with contextlib.suppress(OSError):  # what cannot be moved stays, and `rmtree` says why
                folder = os.open(names.pop(), flags, dir_fd=top)
                try:
                    with os.scandir(folder) as entries:
                        below = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
                    for name in below:
                        moved += 1
                        new = f".{os.getpid()}-{moved}"
                        os.rename(name, new, src_dir_fd=folder, dst_dir_fd=top)
                        names.append(new)
                finally:
                    os.close(folder)
    finally:
        os.close(top)
