"""What tells a folder and a machine from their copies."""

from __future__ import annotations

import socket
from pathlib import Path

from . import procfs


def folder_identity(folder: Path) -> str:
    """Device and inode of a folder: the same after a move, others for a copy; empty when there is no folder."""
    try:
        found = folder.stat()
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def machine_identity(proc: Path = procfs.PROC) -> str:
    """Host name and boot id: pids mean something only on the same machine and until its next boot."""
    return f"{socket.gethostname()}/{procfs.read_boot_id(proc)}"
