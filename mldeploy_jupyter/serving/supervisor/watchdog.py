"""Finds processes that hang, and ends them; others are then started in their place.

A call in C code that keeps Python's global lock stops every thread of a worker, which then passes its own deadline
without noticing. Its heartbeat on the scoreboard stands still, and the watchdog ends the worker. One without requests,
or whose threads other than the loop's still move, is not in a call and is ended sooner. A process that a signal has
stopped is known by its state.

A worker that is still starting has no heartbeat; `LockDetector` finds one that waits for a lock, which is how a fork
fails that copied a held lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from ..ipc.failure import failure
from ..ipc.scoreboard import BEAT, IN_FLIGHT, STUCK
from ..log.service_log import ServiceLog
from ..system import procfs
from .worker_process import WorkerProcess

CHECK_INTERVAL = 1.0  # seconds

LATE = 1.0  # seconds by which a check may be late; after that the supervisor, too, may have been stopped

STOPPED_CHECKS = 4  # checks in a row, a second apart, between which a process that a signal stopped has not run

SILENT_CHECKS = 7  # checks in a row without a heartbeat, which come every 2 seconds

FREE_CHECKS = 3  # the last of them, in which no call keeps the global lock: one that has just ended needs time to beat

SLOW_INTERVAL = 5.0  # seconds between two questions whether the zygote answers and the folder is there

PING_WAIT = 2.0  # seconds for a worker's loop to answer a question, and for its other threads after its silence

GRACE = 5.0  # seconds beyond the scoring timeout before a silent worker is ended

LOCK_PATIENCE = 10.0  # seconds of waiting for a lock, without using the CPU, that count as a hang


@dataclass
class _Seen:
    """What the checks saw of one worker: its last beat, and how many checks in a row found it so.

    `free`: silent, although no call keeps the global lock. `run_time` is that of the last check that found it stopped.
    """

    beat: int = 0
    silent: int = 0
    free: int = 0
    stopped: int = 0
    run_time: tuple[int, int] = (0, 0)


class Watchdog:
    """Checks the workers that `list_workers` returns. `run` does so for as long as the process lives."""

    def __init__(self, list_workers: Callable[[], Iterable[WorkerProcess]], log: ServiceLog) -> None:
        self._list_workers = list_workers
        self._log = log
        self._seen: WeakKeyDictionary[WorkerProcess, _Seen] = WeakKeyDictionary()

    def run(self) -> None:
        while True:
            began = time.monotonic()
            time.sleep(CHECK_INTERVAL)
            if time.monotonic() - began > CHECK_INTERVAL + LATE:
                self._seen.clear()  # this process was stopped or starved, and so, perhaps, were the workers
            self.check()

    def check(self) -> None:
        """One look at every worker."""
        for worker in self._list_workers():
            if worker.pid and worker.kill_failure is None and not worker.exited.is_set():
                seen = self._seen.setdefault(worker, _Seen())
                if not self._end_stopped(worker, seen):
                    check_heartbeat(worker, self._log)
                    self._end_silent(worker, seen)

    def _end_stopped(self, worker: WorkerProcess, seen: _Seen) -> bool:
        if not procfs.is_stopped(worker.pid):
            seen.stopped = 0
            return False
        # A debugger, say, stops and continues a process: it may have run between two checks that find it stopped.
        run_time = procfs.read_run_time(worker.pid)
        seen.stopped = seen.stopped + 1 if run_time == seen.run_time else 1
        seen.run_time = run_time
        if seen.stopped >= STOPPED_CHECKS:
            _end(worker, hang_failure(worker, "a signal has stopped its process"), self._log)
        return True

    def _end_silent(self, worker: WorkerProcess, seen: _Seen) -> None:
        if worker.scoreboard is None or not worker.slot or worker.state not in ("live", "draining"):
            return
        if not worker.has_heartbeat or worker.kill_failure is not None:
            return
        fields = worker.scoreboard.slot(worker.slot).fields
        if fields[BEAT] != seen.beat:
            seen.beat, seen.silent, seen.free = int(fields[BEAT]), 0, 0
            return
        seen.silent += 1
        if seen.silent <= SILENT_CHECKS - FREE_CHECKS:
            return
        if fields[IN_FLIGHT] and worker.request("stack", PING_WAIT) is None:
            seen.silent = seen.free = 0  # run() keeps the global lock, and has its time limit: `check_heartbeat`
            return
        seen.free += 1
        if seen.free >= FREE_CHECKS:
            _end(worker, hang_failure(worker, f"its event loop has not moved for {SILENT_CHECKS} s"), self._log)


def start_watchdog(
    list_workers: Callable[[], Iterable[WorkerProcess]], slow_checks: Sequence[Callable[[], None]], log: ServiceLog
) -> None:
    """Checks the workers in one thread, carries out the slow checks in another, for as long as the process lives."""

    def check_slowly() -> None:
        while True:
            time.sleep(SLOW_INTERVAL)
            for check in slow_checks:
                check()

    threading.Thread(target=Watchdog(list_workers, log).run, daemon=True, name="watchdog").start()
    threading.Thread(target=check_slowly, daemon=True, name="slow watchdog").start()


def hang_failure(worker: WorkerProcess, reason: str) -> dict[str, Any]:
    """The failure of a worker that hangs for `reason`, with the words that its owner reads."""
    stage = "run" if worker.state in ("live", "draining") else worker.stage
    hint = "another one takes its place; if it happens again, read the log for what it did before"
    words = {"what": f"worker {worker.pid} hung", "why": reason, "hint": hint}
    return failure("worker-hung", stage, f"it hung: {reason}", **words)


def find_hang(worker: WorkerProcess) -> str:
    """Why a live worker answers nothing; "" for one that does, or that a call of `run()` keeps busy. Asks its loop."""
    if procfs.is_stopped(worker.pid):
        return "a signal has stopped its process"
    if not worker.has_heartbeat or worker.request("ping", PING_WAIT) is not None or worker.exited.is_set():
        return ""
    silent, limit = silent_seconds(worker), worker.settings.scoring_timeout_ms / 1000
    if silent is not None and (not limit or silent <= limit + GRACE):
        return ""
    return f"its event loop has not answered for {PING_WAIT:g} s"


def _end(worker: WorkerProcess, data: dict[str, Any], log: ServiceLog) -> None:
    worker.kill_failure = data
    if worker.scoreboard is not None:
        worker.scoreboard.service_fields[STUCK] += 1
    log.write(f"worker {worker.pid}: {data['message']}; ending it", level="error")
    worker.kill()


def check_heartbeat(worker: WorkerProcess, log: ServiceLog) -> None:
    """Ends a worker that has requests in flight and has been silent for too long."""
    silent, limit = silent_seconds(worker), worker.settings.scoring_timeout_ms / 1000
    if silent is None or not limit or silent <= limit + GRACE or worker.kill_failure is not None:
        return
    text = f"run() kept Python's global lock for {silent:.0f} s, so that nothing in the worker could act"
    _end(worker, failure("run-locked", "run", text), log)


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
