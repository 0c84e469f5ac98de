"""Copies a file of the user and hashes it in one pass; a file that changes meanwhile is refused."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from mldeploy_jupyter.core.artifacts.file_tree import unreadable
from mldeploy_jupyter.core.copying import copy_stream
from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.files import file_version


def copy_file(path: Path, write: Callable[[memoryview], object], progress: Callable[[int], None]) -> tuple[str, int]:
    """Passes the bytes of `path` to `write` and returns their SHA-256 and their number.

    `progress` gets the bytes copied so far. Raises `StorageError` when the file changes or vanishes while it is read;
    errors of a full disk, which are those of `write`, pass through.
    """
    try:
        with path.open("rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            digest, size = copy_stream(file, write, progress)
            after = os.fstat(file.fileno())
        now = path.stat()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise unreadable(path, error) from error
    versions = {file_version(status) for status in (before, after, now)}
    if len(versions) > 1 or size != before.st_size:
        raise StorageError(
            f"a file changed while it was read: {path}",
            why="another program was writing it",
            hint="wait until the model is saved whole, then register it again; nothing was registered",
        )
    return digest, size
