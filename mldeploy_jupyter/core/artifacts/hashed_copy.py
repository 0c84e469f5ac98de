"""Copies and hashes a file's bytes in one pass, in bounded memory."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.artifacts.file_tree import unreadable
from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.core.files import file_version

CHUNK = 2 * 1024 * 1024  # bytes read at a time; two such buffers are in memory


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


def copy_stream(
    source: Any, write: Callable[[memoryview], object], progress: Callable[[int], None] | None = None
) -> tuple[str, int]:
    """Passes all of `source` to `write` and returns its SHA-256 and its number of bytes.

    One thread hashes a chunk while this one writes it and reads the next into the other buffer.
    """
    hasher, size = hashlib.sha256(), 0
    buffers = (memoryview(bytearray(CHUNK)), memoryview(bytearray(CHUNK)))
    turn = 0
    with ThreadPoolExecutor(1, "mldeploy-hash") as pool:
        pending = None
        while length := source.readinto(buffers[turn]):
            if pending is not None:
                pending.result()
            chunk = buffers[turn][:length]
            if length < CHUNK:  # usually the last chunk: a small one is not worth a thread
                hasher.update(chunk)
                pending = None
            else:
                pending = pool.submit(hasher.update, chunk)
            write(chunk)
            size += length
            turn = 1 - turn
            if progress is not None:
                progress(size)
        if pending is not None:
            pending.result()
    return hasher.hexdigest(), size


def write_all(fd: int, chunk: memoryview) -> None:
    """Writes the whole chunk; one `os.write` may write a part of it. Raises `OSError`."""
    while chunk:
        chunk = chunk[os.write(fd, chunk) :]
