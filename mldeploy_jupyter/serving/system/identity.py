"""Identifies folders, machines and processes, so that copies and reused pids are recognised."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from . import procfs


def folder_identity(folder: Path) -> str:
    """Device and inode of a folder: the same after a move, others for a copy; empty when there is no folder."""
    try:
        found = folder.stat()
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}"


def open_folder(folder: Path) -> int:
    """A descriptor of the folder, which stays with it when it is moved or deleted. Raises `OSError`."""
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def is_removed(descriptor: int) -> bool:
    """Whether the folder of the descriptor was deleted. One that was moved, or whose disk is unavailable, was not."""
    try:
        return os.fstat(descriptor).st_nlink == 0
    except OSError:
        return False


def process_start(proc: Path = procfs.PROC) -> int | str:
    """When this process started, as other processes can find out: in clock ticks since boot on Linux, else as `ps`
    shows it; 0 when that cannot be told."""
    started = procfs.start_time(proc=proc)
    if started:
        return started
    # `core.process_identity` asks in the same way; the time must not depend on who asks.
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    command = ["ps", "-o", "lstart=", "-p", str(os.getpid())]
    try:
        return subprocess.run(command, capture_output=True, text=True, env=environment).stdout.strip() or 0
    except OSError:
        return 0


def machine_identity(proc: Path = procfs.PROC) -> str:
    """Host name and boot id: pids mean something only on the same machine and until its next boot."""
    return f"{socket.gethostname()}/{procfs.read_boot_id(proc)}"
