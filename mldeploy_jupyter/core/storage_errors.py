"""Turns errors of reading and writing artifacts into `StorageError`s that say what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.files import free_bytes
from mldeploy_jupyter.core.text import format_size


def check_digest(name: str, digest: str, size: int, found_digest: str, found_size: int) -> None:
    """Raises `StorageError` when the file `name` is not what was registered. Sizes are in bytes."""
    if found_digest == digest and found_size == size:
        return
    raise StorageError(
        f"a registered file is damaged: {name}",
        why=f"sha256 should be {digest} ({size} bytes), it is {found_digest} ({found_size} bytes)",
        hint="register the model again; the damaged content is replaced",
    )


@contextmanager
def explain_write_errors(root: Path, needed: int = 0) -> Iterator[None]:
    """Raises `StorageError` for an `OSError` of the block, which writes `needed` bytes under `root`.

    `FileExistsError` passes through.
    """
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(root, needed, free_bytes(root)) from error
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


def disk_full(root: Path, needed: int, free: int) -> StorageError:
    """The error for a full disk under `root`; `needed` and `free` are in bytes."""
    return StorageError(
        f"the disk of {root} is full",
        why=f"{format_size(needed)} are needed, {format_size(free)} are free",
        hint="free some space: mldeploy prune; nothing was registered",
    )
