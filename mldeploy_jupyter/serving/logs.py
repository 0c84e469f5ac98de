"""The service's log: one file, rotated by size, written by the supervisor only."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock

_MAX_LINE = 64 * 1024  # a longer line is cut into pieces, so that one print cannot fill the memory


def utc_now() -> str:
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"


class ServiceLog:
    """Lines `<UTC time> [r<revision> <pid>] text`; rotated to `.1` .. `.<keep>` at `max_bytes`."""

    def __init__(
        self, path: Path, max_bytes: int = 10 * 1024 * 1024, keep: int = 3, clock: Callable[[], str] = utc_now
    ) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._clock = clock
        self._lock = Lock()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open()

    def write(self, text: str, source: str = "supervisor") -> None:
        """Appends one line. A full disk loses the line, never the service."""
        line = f"{self._clock()} [{source}] {text}\n".encode("utf-8", "backslashreplace")
        with self._lock:
            if self._size + len(line) > self._max_bytes and self._size:
                self._rotate()
            try:
                os.write(self._fd, line)
            except OSError:
                pass
            self._size += len(line)

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        """The old file stays open until the new one is: its number must never come to mean something else."""
        old = self._fd
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # somebody may have tidied up
            for number in range(self._keep - 1, 0, -1):
                older = Path(f"{self.path}.{number}")
                if older.exists():
                    older.replace(f"{self.path}.{number + 1}")
            if self.path.exists():
                self.path.replace(f"{self.path}.1")
            self._open()
        except OSError:
            self._size = 0  # goes on in the old file; the next attempt is one file's length away
            return
        os.close(old)


def read_lines(fd: int, on_line: Callable[[str], None]) -> None:
    """Gives every line that arrives on a pipe, undecodable bytes escaped, until its end; closes it."""
    rest = b""
    try:
        while chunk := os.read(fd, 65536):
            *lines, rest = (rest + chunk).split(b"\n")
            while len(rest) > _MAX_LINE:
                lines.append(rest[:_MAX_LINE])
                rest = rest[_MAX_LINE:]
            for line in lines:
                on_line(line.decode("utf-8", "backslashreplace"))
    except OSError:
        pass
    finally:
        os.close(fd)
    if rest:
        on_line(rest.decode("utf-8", "backslashreplace"))
