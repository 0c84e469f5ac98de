"""Whether a process that should be working is held up by a lock: how a hang after a fork shows itself."""

from __future__ import annotations

import time
from pathlib import Path

PATIENCE = 10.0  # seconds without any work, waiting for a lock, that count as a hang


class Pulse:
    """Watches one process. `locked_for` is in seconds, 0 while it works or waits for something else."""

    def __init__(self, pid: int, proc: Path = Path("/proc")) -> None:
        self._place = proc / str(pid)
        self._ticks = -1
        self._since = time.monotonic()

    def locked_for(self) -> float:
        now, ticks = time.monotonic(), self._work()
        if ticks != self._ticks or not self.locked():
            self._ticks, self._since = ticks, now
        return now - self._since

    def locked(self) -> bool:
        """Whether its main thread waits for a lock at this moment; False where the kernel does not say."""
        try:
            return (self._place / "wchan").read_text().startswith("futex")
        except OSError:
            return False

    def _work(self) -> int:
        try:
            fields = (self._place / "stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])
        except (OSError, IndexError, ValueError):
            return -1
