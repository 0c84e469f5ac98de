"""Writes the lines of the service's log to standard output, too, from where an engine collects those of a container."""

from __future__ import annotations

import os
import threading
import time
from collections import deque

from .entry import format_line

MAX_WAITING = 8 * 1024 * 1024  # bytes that wait for a reader that is slow or has stopped; lines beyond are dropped


class Echo:
    """Writes in a thread, because a reader that stops must not stop the service. Any thread may call `append`."""

    def __init__(self, fd: int, max_waiting: int = MAX_WAITING) -> None:
        self._fd = fd
        self._max_waiting = max_waiting
        self._chunks: deque[bytes] = deque()
        self._waiting = 0  # bytes
        self._dropped = 0  # lines
        self._changed = threading.Condition()
        threading.Thread(target=self._run, daemon=True, name="echo").start()

    def append(self, lines: bytes) -> None:
        with self._changed:
            if self._waiting and self._waiting + len(lines) > self._max_waiting:
                self._dropped += lines.count(b"\n")
                return
            if self._dropped:
                text = f"{self._dropped} lines are missing from standard output, which nobody read"
                lines = format_line(text, level="warning", logger="supervisor", pid=os.getpid()) + lines
                self._dropped = 0
            self._chunks.append(lines)
            self._waiting += len(lines)
            self._changed.notify_all()

    def flush(self, timeout: float) -> None:
        """Returns when all lines are written, at the latest after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._waiting and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._chunks:
                    self._changed.wait()
                chunk = self._chunks.popleft()
            view = memoryview(chunk)
            try:
                while view:
                    view = view[os.write(self._fd, view) :]
            except OSError:
                pass  # the reader is gone
            with self._changed:
                self._waiting -= len(chunk)
                self._changed.notify_all()
