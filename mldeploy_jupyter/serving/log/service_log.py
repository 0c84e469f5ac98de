"""The service's log file: entries (`entry`), appended by the supervisor and rotated by size."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from threading import Lock
from typing import Any

from .echo import Echo
from .entry import format_line


class ServiceLog:
    """The log file, rotated to `.1` .. `.<keep>` when it would exceed `max_bytes`. Only the supervisor writes it.

    `echo`, if given, gets the same lines.
    """

    def __init__(self, path: Path, max_bytes: int = 10 * 1024 * 1024, keep: int = 3, echo: Echo | None = None) -> None:
        self.path = path
        self._echo = echo
        self._max_bytes = max_bytes
        self._keep = keep
        self._lock = Lock()
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._open()

    def write(self, text: str, *, level: str = "info", **fields: Any) -> None:
        """Appends an entry of the supervisor's own."""
        self.append(format_line(text, level=level, logger="supervisor", pid=os.getpid(), **fields))

    def append(self, lines: bytes) -> None:
        """Appends whole lines unchanged. A full disk loses lines, but never stops the service."""
        with self._lock:
            if self._echo is not None:
                self._echo.append(lines)
            if self._size + len(lines) > self._max_bytes and self._size:
                self._rotate()
            view = memoryview(lines)
            try:
                while view:
                    view = view[os.write(self._fd, view) :]
            except OSError:
                pass
            self._size += len(lines)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            with contextlib.suppress(OSError):
                os.close(self._fd)

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        # The old file stays open until the new one is: its descriptor must never come to mean another file.
        old = self._fd
        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)  # a user may have deleted the folder
            for number in range(self._keep - 1, 0, -1):
                older = Path(f"{self.path}.{number}")
                if older.exists():
                    older.replace(f"{self.path}.{number + 1}")
            if self.path.exists():
                self.path.replace(f"{self.path}.1")
            self._open()
        except OSError:
            self._size = 0  # keep writing to the old file; the next attempt is `max_bytes` away
            return
        os.close(old)
