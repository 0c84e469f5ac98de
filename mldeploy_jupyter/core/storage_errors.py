"""Turns errors of reading and writing artifacts into `StorageError`s that say what to do."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.files import free_bytes
from mldeploy_jupyter.core.text import format_size

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import ModelRecord

# What the system says of a disk or file server that is unavailable: it may be back in seconds.
_AWAY = {
    getattr(errno, name)
    for name in (
        *("EIO", "ESTALE", "ETIMEDOUT", "ENOTCONN", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENODEV"),
        *("ENXIO", "EREMOTEIO", "ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "ESHUTDOWN"),
    )
    if hasattr(errno, name)
}


def may_come_back(error: BaseException, folder: Path | None = None) -> bool:
    """Whether an `OSError`, or the `StorageError` that explains one, comes from a disk or a server that is unavailable.

    So does a missing file where `folder` itself, which was there before, is missing.
    """
    cause = error.__cause__ if isinstance(error, StorageError) and error.__cause__ is not None else error
    if isinstance(error, StorageError) and cause is error:
        return folder is not None and not folder.exists()
    if isinstance(cause, ConnectionError | TimeoutError) or (isinstance(cause, OSError) and cause.errno in _AWAY):
        return True
    if isinstance(cause, FileNotFoundError):
        return folder is not None and not folder.exists()
    return isinstance(error, StorageError) and not isinstance(cause, OSError)  # of a bucket's client


def check_digest(name: str, digest: str, size: int, found_digest: str, found_size: int) -> None:
    """Raises `StorageError` when the file `name` is not what was registered. Sizes are in bytes."""
    if found_digest == digest and found_size == size:
        return
    raise StorageError(
        f"a registered file is damaged: {name}",
        why=f"sha256 should be {digest} ({size} bytes), it is {found_digest} ({found_size} bytes)",
        hint="register the model again; the damaged content is replaced",
    )


def require_files(record: ModelRecord) -> dict[str, list[Any]]:
    """The manifest of a model's files. Raises `StorageError` when the record has none: it is damaged."""
    if not record.files or not all(isinstance(entry, list) and len(entry) == 2 for entry in record.files.values()):
        raise StorageError(
            f"the record of model {record.id} in the workspace's store is damaged",
            why="it names no files, and every model has one",
            hint=f"mldeploy model delete {record.id}, then register it again",
        )
    return record.files


@contextmanager
def explain_write_errors(root: Path, needed: int = 0, *, unchanged: str = "nothing was registered") -> Iterator[None]:
    """Raises `StorageError` for an `OSError` of the block, which writes `needed` bytes under `root`.

    `unchanged` says, for a full disk, what is as it was.
    `FileExistsError` passes through.
    """
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(root, needed, free_bytes(root), unchanged=unchanged) from error
        in_the_way = error.errno in (errno.EACCES, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)
        explained = explain_unusable(error) if in_the_way else None
        if explained is not None:
            raise explained from error
        raise StorageError(
            f"files could not be written under {root}",
            why=error.strerror or str(error),
            hint=f"check that you may write there: ls -ld {root}",
        ) from error


@contextmanager
def explain_remote_errors(url: str) -> Iterator[None]:
    """Raises `StorageError` for any error of the block, which uses fsspec, except `FileNotFoundError`."""
    try:
        yield
    except (FileNotFoundError, StorageError):
        raise
    except Exception as error:  # each fsspec back end has its own types of error
        raise StorageError(
            f"the workspace's artifacts cannot be reached: {url}",
            why=f"{type(error).__name__}: {error}",
            hint='check the network and "artifacts" in .mldeploy/config.json, then run the command again',
        ) from error


def explain_unusable(error: OSError, places: Iterable[Path] = (Path("/"),)) -> StorageError | None:
    """The error for a file of the workspace that is missing, cannot be accessed, or is a folder instead.

    None when the error names no file below one of `places`.
    """
    if not isinstance(error.filename, str | bytes):
        return None
    path = Path(os.path.abspath(os.fsdecode(error.filename)))
    if not any(path.is_relative_to(place) for place in places):
        return None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(path.parent, 0, free_bytes(path.parent), unchanged="then run the command again")
    what, why = f"a file of mldeploy cannot be used: {path}", error.strerror or str(error)
    hint = f"see what is there: ls -ld {path}"
    if error.errno in (errno.EACCES, errno.EPERM):
        closed = next((each for each in (*reversed(path.parents), path) if not _may_use(each)), path)
        hint = f"give yourself the right to use it: chmod u+rwX {closed}"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        file = next((each for each in (*reversed(path.parents), path) if os.path.isfile(each)), path)
        why, hint = f"{file} is in the place of a folder", f"move it elsewhere: mv {file} {file}.aside"
    elif error.errno == errno.EISDIR:
        why, hint = "a folder is in its place", f"move it elsewhere: mv {path} {path}.aside"
    elif error.errno == errno.ENOENT:
        why, hint = "it is gone", "run the command again; what is needed is made again"
    return StorageError(what, why=why, hint=hint)


def _may_use(path: Path) -> bool:
    """Whether this user has the usual rights, as far as the mode says."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return True
    return bool(mode & 0o444 and (mode & 0o111 or not stat.S_ISDIR(mode)))


def disk_full(root: Path, needed: int, free: int, *, unchanged: str = "nothing was registered") -> StorageError:
    """The error for a full disk under `root`; `needed` and `free` are in bytes."""
    left = f"{format_size(free)} are free"
    return StorageError(
        f"the disk of {root} is full",
        why=f"{format_size(needed)} are needed, {left}" if needed else left,
        hint=f"free some space: mldeploy prune; {unchanged}",
    )
