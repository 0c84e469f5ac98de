"""Limits of a worker, kept by its supervisor: memory, and how many requests it may answer before a fresh one comes.

What counts as a worker's memory is what would come back if it ended: its private, changed pages, and what of them
was swapped out. The pages of libraries, of a memory-mapped model, and those that a forked worker still shares with
its parent are not its own. Processes that the script starts are not counted. Without /proc nothing is limited.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..ipc.failure import failure
from ..log.service_log import ServiceLog
from ..settings import Settings
from ..system import memory
from .generation import Stopped
from .worker_process import Worker

EVERY = 0.25  # seconds between two looks at a worker

TRY_AGAIN = 5.0  # seconds until a replacement is tried again that could not start

SPREAD = 0.1  # the part of max_requests by which workers differ, so that they do not grow old together


class Limits:
    """Watches workers whose settings have a limit, each in a thread that ends with its worker.

    `replace` brings a new worker into traffic and then drains the old one; it raises `Stopped` when none can start.
    `requests_of` says how many requests a worker has answered. One worker is replaced at a time.
    """

    def __init__(
        self, log: ServiceLog, replace: Callable[[Worker], None], requests_of: Callable[[Worker], int]
    ) -> None:
        self._log = log
        self._replace = replace
        self._requests_of = requests_of
        self._turn = threading.Lock()

    def watch(self, worker: Worker) -> None:
        """Begins to watch a worker that was spawned. Costs nothing where its settings have no limit."""
        settings = worker.settings
        if settings.memory_limit_mb or settings.max_requests:
            threading.Thread(target=self._watch, args=(worker,), daemon=True, name=f"limits {worker.pid}").start()

    def _watch(self, worker: Worker) -> None:
        limit, most = worker.settings.memory_limit_mb * 10**6, most_requests(worker.settings, worker.mark)
        while not worker.exited.wait(EVERY):
            if limit and (used := memory.private_memory_above(worker.pid, limit)) is not None:
                serving = worker.state in ("live", "draining")
                worker.verdict = over_limit(used, limit, "run" if serving else worker.stage)
                worker.kill()
                return
            if most and worker.state == "live" and self._requests_of(worker) >= most:
                self._recycle(worker)

    def _recycle(self, worker: Worker) -> None:
        """Begins to replace a worker; while another one is being replaced, a later look does."""
        if self._turn.acquire(blocking=False):
            try:
                # In a thread of its own: the watch goes on looking at the memory.
                threading.Thread(target=self._replace_in_turn, args=(worker,), daemon=True).start()
            except BaseException:
                self._turn.release()
                raise

    def _replace_in_turn(self, worker: Worker) -> None:
        try:
            most = worker.settings.max_requests
            self._log.write(f"worker {worker.pid} has answered its {most} requests; replacing it")
            self._replace(worker)
        except Stopped as stopped:
            self._log.write(f"worker {worker.pid} serves on: {stopped.failure['message']}")
            worker.exited.wait(TRY_AGAIN)
        finally:
            self._turn.release()


def most_requests(settings: Settings, mark: str) -> int:
    """How many requests a worker answers before it is replaced: `max_requests`, less up to a tenth by its mark."""
    return settings.max_requests - int(settings.max_requests * SPREAD * int(mark, 16) / 16 ** len(mark))


def over_limit(used: int, limit: int, stage: str) -> dict[str, Any]:
    """The failure of a worker that is ended for its memory; `used`, `limit` and `proposed` in bytes."""
    proposed = memory.propose_limit(used)
    text = (
        f"the worker used {used / 10**6:.0f} MB by itself, and its limit is {limit / 10**6:.0f} MB; "
        f"memory_gb_limit={proposed / 10**9:g} would have been enough so far"
    )
    return failure("memory-limit", stage, text, used=used, limit=limit, proposed=proposed)
