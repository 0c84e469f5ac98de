"""Collects dead processes that are ours only because their own parent died before them.

A supervisor is made the parent of its workers' orphans (`become_subreaper`). What a script leaves behind
and nobody waits for would stay in the process table for ever.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ..system import procfs

DELAY = 2.0  # seconds for whoever started a process to collect it


class OrphanReaper:
    """`known` says which processes somebody here waits for. `look` is to be called when a child has ended."""

    def __init__(self, known: Callable[[], set[int]]) -> None:
        self._known = known
        self._died = threading.Event()
        self.look = self._died.set
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self._died.wait()
            self._died.clear()
            before = set(zombies())
            time.sleep(DELAY)
            for pid in before - self._known():
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    continue


def zombies(proc: Path = Path("/proc")) -> list[int]:
    """Children of this process that are dead and not collected."""
    return procfs.list_zombies(os.getpid(), proc)
