"""Remembers which large files were read whole and had the digest they should have, so that they are not read again.

    verified/<sha256>      inode, size and times of the file when its content was last compared with its digest

A write, a rename over it and a change of its mode all change a file's ctime, which no program can set.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mldeploy_jupyter.core.files import atomic_write, make_private_dir, read_json_if_valid

WORTH_REMEMBERING = 1024 * 1024  # bytes; a smaller file is read in about a millisecond


class VerifiedFiles:
    """The records in `folder`, which is created with the first. Losing one only costs time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def knows(self, digest: str, status: os.stat_result) -> bool:
        """Whether this file was found to have the digest, and has not changed since."""
        if status.st_size < WORTH_REMEMBERING:
            return False
        return read_json_if_valid(self._folder / digest) == _facts(status)

    def remember(self, digest: str, status: os.stat_result) -> None:
        """Records that this file has the digest; `status` is from before it was read."""
        if status.st_size < WORTH_REMEMBERING:
            return
        numbers = ", ".join(f'"{name}": {value}' for name, value in _facts(status).items())
        with suppress(OSError):  # on a full or read-only disk the file is read again
            make_private_dir(self._folder)
            atomic_write(self._folder / digest, f"{{{numbers}}}\n", durable=False)

    def forget(self, digest: str) -> None:
        """Removes the record of a file that was removed."""
        with suppress(OSError):
            (self._folder / digest).unlink()


def _facts(status: os.stat_result) -> dict[str, int]:
    return {
        "inode": status.st_ino,
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "ctime_ns": status.st_ctime_ns,
    }
