"""The SHA-256 of files, which this process remembers as long as they are as they were.

A file that was written to, replaced or renamed has another version: inode, size, time of content or time of change, and
no program can set the last one. One that changed within the last seconds may change again without its times telling,
since a file system's clock stands still for some milliseconds; it is read each time. So is every file on a network file
system, whose times may be those of a moment ago.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from mldeploy_jupyter.core.files import on_network_filesystem

SETTLED_NS = 2_000_000_000  # since a file's last change, before its digest is remembered

MAX_FILES = 100_000  # that are remembered, about 40 MB

Version = tuple[int, int, int, int, int]

_known: dict[str, tuple[Version, str]] = {}  # by path

_local_devices: dict[int, bool] = {}


def find_digest(path: str | Path) -> tuple[str, int]:
    """The SHA-256 of a file and its size in bytes; it is read only if it may have changed. Raises `OSError`."""
    name = os.fspath(path)
    status = os.stat(name)
    version, known = _version(status), _known.get(name)
    if known is not None and known[0] == version:
        return known[1], status.st_size
    with open(name, "rb") as file:
        before = os.fstat(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        after = os.fstat(file.fileno())
    if _version(before) == _version(after) and _is_settled(after) and _is_local(name, after.st_dev):
        if len(_known) >= MAX_FILES:
            _known.clear()
        _known[name] = (_version(after), digest)
    return digest, after.st_size


def _version(status: os.stat_result) -> Version:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _is_settled(status: os.stat_result) -> bool:
    return max(status.st_mtime_ns, status.st_ctime_ns) < time.time_ns() - SETTLED_NS


def _is_local(name: str, device: int) -> bool:
    local = _local_devices.get(device)
    if local is None:
        local = _local_devices[device] = not on_network_filesystem(Path(name))
    return local
