"""Collects dead processes that are ours only because their own parent died before them.

A supervisor is made the parent of its workers' orphans (`process_state.adopt_orphans`). What a script leaves behind
and nobody waits for would stay in the process table for ever.
"""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import leftovers

DELAY = 2.0  # seconds for whoever started a process to collect it


class Strangers:
    """`known` says which processes somebody here waits for. Must be made in the main thread."""

    def __init__(self, known: Callable[[], set[int]]) -> None:
        self._known = known
        self._died: queue.SimpleQueue[int] = queue.SimpleQueue()
        on_signal(signal.SIGCHLD, self._died)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self._died.get()
            while not self._died.empty():
                self._died.get()
            before = set(zombies())
            time.sleep(DELAY)
            for pid in before - self._known():
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    continue


def on_signal(number: signal.Signals, events: queue.SimpleQueue[int]) -> None:
    """Puts an item into `events` whenever the signal comes.

    The queue's own `put` is the handler, as it takes the handler's two arguments. A handler in Python is interrupted
    by the next signal; one that takes a lock, as `Event.set` does, then waits for itself and with it the main thread.
    """
    put: Any = events.put
    signal.signal(number, put)


def zombies(proc: Path = Path("/proc")) -> list[int]:
    """Children of this process that are dead and not collected."""
    return [pid for pid, state in leftovers.children(os.getpid(), proc) if state == "Z"]
