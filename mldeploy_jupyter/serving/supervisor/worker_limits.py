"""Enforces a worker's limits: its memory, and how many requests it may answer before it is replaced.

A worker's memory is what its exit would free: private pages that it has changed, in memory or swapped out. Not included
are pages of libraries, of a memory-mapped model, those that a forked worker still shares with its parent, and the
memory of processes that the script starts. Without `/proc` there is no limit of memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..ipc.failure import failure
from ..log.service_log import ServiceLog
from ..settings import Settings
from ..system import memory
from .generation import Aborted
from .worker_process import WorkerProcess

CHECK_INTERVAL = 0.25  # seconds

RETRY_WAIT = 5.0  # seconds until a worker is replaced whose replacement could not start

SPREAD = 0.1  # the part of max_requests by which workers differ, so that they are not all replaced at the same time


class Limits:
    """Watches workers whose settings have a limit, each in a thread that ends with its worker.

    `replace` brings a new worker into traffic and drains the old one; it raises `Aborted` when no worker can start. One
    worker is replaced at a time. `measure` returns the memory of a process when it is above a limit, both in bytes.
    """

    def __init__(
        self,
        log: ServiceLog,
        replace: Callable[[WorkerProcess], None],
        measure: Callable[[int, int], int | None] = memory.private_memory_above,
    ) -> None:
        self._log = log
        self._replace = replace
        self._measure = measure
        self._replacing = threading.Lock()

    def watch(self, worker: WorkerProcess) -> None:
        """Starts watching a worker. Costs nothing when its settings have no limit."""
        settings = worker.settings
        if settings.memory_limit_mb or settings.max_requests:
            threading.Thread(target=self._watch, args=(worker,), daemon=True, name=f"limits {worker.pid}").start()

    def _watch(self, worker: WorkerProcess) -> None:
        max_bytes = worker.settings.memory_limit_mb * 10**6
        max_requests = requests_until_replaced(worker.settings, worker.mark)
        while not worker.exited.wait(CHECK_INTERVAL):
            if max_bytes and (used := self._measure(worker.pid, max_bytes)) is not None:
                serving = worker.state in ("live", "draining")
                worker.kill_failure = memory_failure(used, max_bytes, "run" if serving else worker.stage)
                worker.kill()
                return
            if max_requests and worker.state == "live" and worker.count_answered() >= max_requests:
                self._begin_replacement(worker)

    def _begin_replacement(self, worker: WorkerProcess) -> None:
        """Replaces a worker in another thread, so that this one continues checking its memory.

        Does nothing while another worker is being replaced; a later check then tries again.
        """
        if self._replacing.acquire(blocking=False):
            try:
                threading.Thread(target=self._replace_worker, args=(worker,), daemon=True).start()
            except BaseException:
                self._replacing.release()
                raise

    def _replace_worker(self, worker: WorkerProcess) -> None:
        try:
            self._log.write(
                f"worker {worker.pid} has answered its {worker.settings.max_requests} requests; replacing it"
            )
            self._replace(worker)
        except Aborted as aborted:
            self._log.write(f"worker {worker.pid} keeps serving: {aborted}")
            worker.exited.wait(RETRY_WAIT)
        finally:
            self._replacing.release()


def requests_until_replaced(settings: Settings, mark: str) -> int:
    """`max_requests`, less up to a tenth that depends on the worker's mark."""
    return settings.max_requests - int(settings.max_requests * SPREAD * int(mark, 16) / 16 ** len(mark))


def memory_failure(used: int, limit: int, stage: str) -> dict[str, Any]:
    """The failure of a worker that is ended for its memory. `used`, `limit` and its `proposed` are in bytes."""
    proposed = memory.propose_limit(used)
    text = (
        f"the worker used {used / 10**6:.0f} MB of private memory, and its limit is {limit / 10**6:.0f} MB; "
        f"memory_gb_limit={proposed / 10**9:g} would have been enough so far"
    )
    return failure("memory-limit", stage, text, used=used, limit=limit, proposed=proposed)
