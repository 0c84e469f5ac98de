"""Copies files: with their SHA-256 in the same pass, in bounded memory, or as fast as the file system can."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.files import private_opener

CHUNK = 2 * 1024 * 1024  # bytes read at a time; two such buffers are in memory

HEAD = 64 * 1024  # bytes that are copied without them: most files of source have fewer

_FICLONE = 0x40049409  # of linux/fs.h: the new file shares the old one's blocks until either is written

# What file systems answer that cannot clone, or cannot copy inside the kernel.
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM)


def copy_stream(
    source: Any, write: Callable[[memoryview], object], progress: Callable[[int], None] | None = None
) -> tuple[str, int]:
    """Passes all of `source` to `write` and returns its SHA-256 and its number of bytes.

    One thread hashes a chunk while this one writes it and reads the next into the other buffer.
    """
    hasher, size = hashlib.sha256(), 0
    while head := source.read(HEAD):
        hasher.update(head)
        write(memoryview(head))
        size += len(head)
        if progress is not None:
            progress(size)
        if size >= HEAD:
            break
    else:
        return hasher.hexdigest(), size
    # Pages of a map come as they are filled; to fill a `bytearray` with zeros takes longer than to copy most files.
    buffers = (memoryview(mmap.mmap(-1, CHUNK)), memoryview(mmap.mmap(-1, CHUNK)))
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


def copy_blocks(source: int, target: int) -> None:
    """Copies an open file into an empty one, without reading it where the file system can clone. Raises `OSError`."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
        return
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    left, copied = os.fstat(source).st_size, 0
    try:
        while left > copied and hasattr(os, "copy_file_range"):
            done = os.copy_file_range(source, target, left - copied)
            if not done:
                break
            copied += done
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    while chunk := os.read(source, CHUNK):  # what is left: all of it, or nothing
        write_all(target, memoryview(chunk))


def copy_verified(source: Path, target: Path, digest: str) -> bool:
    """Copies a file to the new `target`, with mode 0600. False, and no file, when its SHA-256 is not `digest`.

    Raises `OSError`.
    """
    with source.open("rb", buffering=0) as file, open(target, "xb", buffering=0, opener=private_opener) as copy:
        found, _ = copy_stream(file, lambda chunk: write_all(copy.fileno(), chunk))
    if found != digest:
        target.unlink()
    return found == digest
