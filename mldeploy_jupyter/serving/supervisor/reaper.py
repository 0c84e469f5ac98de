"""Reaps dead processes that the supervisor adopted because their own parent died first.

The supervisor becomes the parent of its workers' orphans (`process_state.become_subreaper`). Without this, those that a
script leaves behind would stay in the process table as zombies.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from ..system import procfs

DELAY = 2.0  # seconds for another thread of the supervisor to wait for a process that it started


class OrphanReaper:
    """Reaps in a thread. `list_waited_for` returns the pids for which other threads wait.

    `notify` is to be called when a child has ended.
    """

    def __init__(self, list_waited_for: Callable[[], set[int]]) -> None:
        self._list_waited_for = list_waited_for
        self._child_ended = threading.Event()
        self.notify = self._child_ended.set
        threading.Thread(target=self._run, daemon=True, name="reaper").start()

    def _run(self) -> None:
        while True:
            self._child_ended.wait()
            self._child_ended.clear()
            zombies = set(procfs.list_zombies(os.getpid()))
            time.sleep(DELAY)
            for pid in zombies - self._list_waited_for():
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    continue
