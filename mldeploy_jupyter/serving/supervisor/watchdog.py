"""Finds workers in which nothing can move.

A call in C code that keeps Python's global lock stops every thread of a worker, which then passes its own deadline
without noticing. Its heartbeat on the scoreboard stands still, and the watchdog ends the worker. A worker that is
still starting has no heartbeat; `LockDetector` finds one that waits for a lock, which is how a fork fails that copied
a held lock.
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
from .worker_process import WorkerProcess

CHECK_INTERVAL = 1.0  # seconds

GRACE = 5.0  # seconds beyond the scoring timeout before a silent worker is ended

LOCK_PATIENCE = 10.0  # seconds of waiting for a lock, without using the CPU, that count as a hang


def start_watchdog(list_workers: Callable[[], Iterable[WorkerProcess]], log: ServiceLog) -> None:
    """Checks the workers in a thread, for as long as the process lives."""

    def watch() -> None:
        while True:
            time.sleep(CHECK_INTERVAL)
            for worker in list_workers():
                check_heartbeat(worker, log)

    threading.Thread(target=watch, daemon=True, name="watchdog").start()


def check_heartbeat(worker: WorkerProcess, log: ServiceLog) -> None:
    """Ends a worker that has requests in flight and has been silent for too long."""
    silent, limit = silent_seconds(worker), worker.settings.scoring_timeout_ms / 1000
    if silent is None or not limit or silent <= limit + GRACE or worker.kill_failure is not None:
        return
    text = f"run() kept Python's global lock for {silent:.0f} s, so that nothing in the worker could act"
    worker.kill_failure = failure("run-locked", "run", text)
    if worker.scoreboard is not None:
        worker.scoreboard.service_fields[STUCK] += 1
    log.write(f"worker {worker.pid}: {text}; ending it", level="error")
    worker.kill()


def silent_seconds(worker: WorkerProcess) -> float | None:
    """Seconds since the last heartbeat of a worker that has requests in flight; None when it has none."""
    if worker.scoreboard is None or not worker.slot or worker.exited.is_set():
        return None
    if worker.state not in ("live", "draining"):
        return None
    fields = worker.scoreboard.slot(worker.slot).fields
    if not fields[IN_FLIGHT] or not fields[BEAT]:
        return None
    return max(0.0, time.monotonic() - fields[BEAT] / 1000)


class LockDetector:
    """Watches whether the main thread of one process waits for a lock."""

    def __init__(self, pid: int, proc: Path = procfs.PROC) -> None:
        self._pid, self._proc = pid, proc
        self._cpu_time = -1
        self._since = time.monotonic()

    def locked_seconds(self) -> float:
        """For how long it has waited for a lock without using the CPU, over the calls so far."""
        now = time.monotonic()
        stat = procfs.read_stat(self._pid, self._proc)
        cpu_time = stat.cpu_time if stat is not None else -1
        if cpu_time != self._cpu_time or not self.is_locked():
            self._cpu_time, self._since = cpu_time, now
        return now - self._since

    def is_locked(self) -> bool:
        """Whether it waits for a lock now; False where the kernel does not say."""
        return procfs.waits_for_lock(self._pid, self._proc)
