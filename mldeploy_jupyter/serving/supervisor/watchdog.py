"""Finds workers that can no longer act: a call in C code that keeps Python's global lock stops every thread.

Such a worker passes its own deadline without noticing. Its beat on the scoreboard stands still while requests are in
its hands, and so its supervisor ends it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ..ipc.failure import failure
from ..ipc.scoreboard import BEAT, IN_FLIGHT, STUCK
from ..log.service_log import ServiceLog
from ..system import procfs
from .worker_process import Worker

EVERY = 1.0  # seconds between two looks

GRACE = 5.0  # seconds beyond the deadline


def start(workers: Callable[[], Iterable[Worker]], log: ServiceLog) -> None:
    """Looks after `workers()` in a thread of its own, for as long as the process lives."""
    threading.Thread(target=_watch, args=(workers, log), daemon=True, name="vigil").start()


def _watch(workers: Callable[[], Iterable[Worker]], log: ServiceLog) -> None:
    while True:
        time.sleep(EVERY)
        for worker in workers():
            silent = silent_for(worker)
            limit = worker.settings.scoring_timeout_ms / 1000
            if silent is not None and limit and silent > limit + GRACE and worker.verdict is None:
                text = f"run() kept Python's global lock for {silent:.0f} s, so that nothing in the worker could act"
                worker.verdict = failure("run-locked", "run", text)
                if worker.board is not None:
                    worker.board.service_fields[STUCK] += 1
                log.write(f"worker {worker.pid}: {text}; ending it", level="error")
                worker.kill()


def silent_for(worker: Worker) -> float | None:
    """Seconds since a worker that has requests in hand last gave a sign; None for one that has none."""
    if worker.board is None or not worker.slot or worker.exited.is_set() or worker.state not in ("live", "draining"):
        return None
    fields = worker.board.slot(worker.slot).fields
    if not fields[IN_FLIGHT] or not fields[BEAT]:
        return None
    return max(0.0, time.monotonic() - fields[BEAT] / 1000)


PATIENCE = 10.0  # seconds without any work, waiting for a lock, that count as a hang


class LockDetector:
    """Watches one process. `locked_for` is in seconds, 0 while it works or waits for something else."""

    def __init__(self, pid: int, proc: Path = Path("/proc")) -> None:
        self._pid, self._proc = pid, proc
        self._ticks = -1
        self._since = time.monotonic()

    def locked_for(self) -> float:
        now, ticks = time.monotonic(), self._work()
        if ticks != self._ticks or not self.locked():
            self._ticks, self._since = ticks, now
        return now - self._since

    def locked(self) -> bool:
        """Whether its main thread waits for a lock at this moment; False where the kernel does not say."""
        return procfs.waits_for_lock(self._pid, self._proc)

    def _work(self) -> int:
        stat = procfs.read_stat(self._pid, self._proc)
        return stat.cpu_time if stat is not None else -1
