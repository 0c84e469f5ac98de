"""Random marks by which a process's descendants are found, even those that left its session.

The supervisor puts a mark into the environment of every process that it spawns, and descendants inherit it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from . import procfs

VARIABLE = "MLDEPLOY_WORKER"


def new_mark() -> str:
    return os.urandom(8).hex()


def kill_marked(marks: Sequence[str], proc: Path = procfs.PROC) -> list[int]:
    """Kills every process that started with one of `marks` in its environment; returns their pids."""
    wanted = {f"{VARIABLE}={mark}".encode() for mark in marks}
    killed: list[int] = []
    for pid in procfs.list_pids(proc) if wanted else []:
        if wanted.isdisjoint(procfs.read_environment(pid, proc)):
            continue
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            continue
        killed.append(pid)
    return killed
