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

CHUNK = 2 * 1024 * 1024


def copy_hashing(path: Path, write: Callable[[memoryview], object], step: Callable[[int], None]) -> tuple[str, int]:
    """Copies `path` to `write` and hashes it. Raises `StorageError` when it changes or vanishes meanwhile."""
    try:
        with path.open("rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            digest, size = copy_stream(file, write, step)
            after = os.fstat(file.fileno())
        now = path.stat()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise  # the target's, not the source's
        raise unreadable(path, error) from error
    same = {(info.st_ino, info.st_size, info.st_mtime_ns) for info in (before, after, now)}
    if len(same) > 1 or size != before.st_size:
        raise StorageError(
            f"a file changed while it was read: {path}",
            why="another program was writing it",
            hint="wait until the model is saved whole, then register it again; nothing was registered",
        )
    return digest, size


def copy_stream(
    source: Any, write: Callable[[memoryview], object], step: Callable[[int], None] | None = None
) -> tuple[str, int]:
    """Hashes all of `source` while `write` gets the same bytes, in two buffers of `CHUNK`: digest and size."""
    hasher, size = hashlib.sha256(), 0
    buffers = (memoryview(bytearray(CHUNK)), memoryview(bytearray(CHUNK)))
    turn = 0
    with ThreadPoolExecutor(1, "mldeploy-hash") as pool:
        pending = None
        while True:
            buffer = buffers[turn]
            length = source.readinto(buffer)
            if not length:
                break
            if pending is not None:
                pending.result()
            chunk = buffer[:length]
            if length < CHUNK:  # mostly the last one; small files are not worth a thread
                hasher.update(chunk)
                pending = None
            else:
                pending = pool.submit(hasher.update, chunk)
            write(chunk)
            size += length
            turn = 1 - turn
            if step is not None:
                step(size)
        if pending is not None:
            pending.result()
    return hasher.hexdigest(), size


def write_all(fd: int, chunk: memoryview) -> None:
    while chunk:
        chunk = chunk[os.write(fd, chunk) :]
