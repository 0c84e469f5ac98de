"""Replaces live workers: those that died or hang, and those that have answered as many requests as they may."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import Any

from ..ipc.failure import failure
from ..ipc.scoreboard import OVER_MEMORY, RECYCLED, RESTARTS
from ..log.entry import utc_now
from .generation import Aborted, Generation
from .startup import make_ready
from .worker_pool import WorkerPool
from .worker_process import WorkerProcess

# Seconds between two starts of a worker that keeps dying: the pause doubles from the first to the last.
FIRST_BACKOFF, LAST_BACKOFF = 0.1, 5.0


class Respawner:
    """Keeps the number of live workers. Every public method may be called from any thread."""

    def __init__(self, pool: WorkerPool, sleep: Callable[[float], None] = time.sleep) -> None:
        self.last_exit: dict[str, Any] | None = None  # why the last live worker died
        self._pool = pool
        self._sleep = sleep

    def replace_lost(self, worker: WorkerProcess) -> None:
        """Starts a worker in the place of a live one that has died."""
        pool = self._pool
        generation = pool.remove_live(worker)
        if generation is None:
            return
        pool.scoreboard.service_fields[RESTARTS] += 1
        self.last_exit = {**worker.exit_failure(), "stage": "run", "pid": worker.pid, "time": utc_now()}
        if self.last_exit["code"] == "memory-limit":
            pool.scoreboard.service_fields[OVER_MEMORY] += 1
        pool.log.write(f"worker {worker.pid}: {self.last_exit['message']}; starting another")
        for request_id in worker.lost_requests:
            pool.log.write(f"[{request_id}] lost with worker {worker.pid}: its connection broke without an answer")
        self.refill(generation, worker.restarts + 1, new_interpreter=worker.forked and worker.crashed)

    def refill(self, generation: Generation, restarts: int, new_interpreter: bool = False) -> None:
        """Starts workers until one is ready, with growing pauses while they fail, or `generation` no longer serves."""
        pool, pause = self._pool, FIRST_BACKOFF
        while pool.is_live(generation):
            try:
                worker = self._start_worker(generation, restarts, new_interpreter)
            except Aborted as aborted:
                generation.failure = aborted.failure
                pool.log.write(f"a worker could not start: {aborted}")
                self._sleep(pause)
                pause = min(pause * 2, LAST_BACKOFF)
                restarts += 1
                continue
            if not pool.add_live(worker, generation):  # it is not needed, but it may have requests already
                pool.drain([worker], 0 if pool.stopping else generation.settings.drain_timeout)
                return
            pool.deliver_connections()
            if worker.exited.is_set():  # it died before the pool knew that it was live
                self.replace_lost(worker)
            pool.learn_modules(generation)
            return

    def replace(self, worker: WorkerProcess, new_interpreter: bool = False) -> None:
        """Starts a worker and drains the live one whose place it takes. Raises `Aborted` when it cannot start."""
        pool = self._pool
        generation = pool.find_live(worker)
        if generation is None:
            return
        substitute = self._start_worker(generation, worker.restarts + 1, new_interpreter)
        if not pool.replace_live(worker, substitute, generation):
            pool.drain([substitute], generation.settings.drain_timeout)
            return
        pool.deliver_connections()
        pool.drain([worker], generation.settings.drain_timeout)

    def recycle(self, worker: WorkerProcess) -> None:
        """Replaces a worker that has answered its number of requests. Raises `Aborted` when no other can start."""
        self.replace(worker)
        self._pool.scoreboard.service_fields[RECYCLED] += 1

    def replace_stuck(self, worker: WorkerProcess) -> None:
        """Replaces a worker whose `run()` does not end; kills it when no other can start."""
        try:
            self.replace(worker, new_interpreter=worker.forked)
        except Aborted as aborted:
            self._pool.log.write(f"worker {worker.pid} cannot be replaced: {aborted}; ending it")
            worker.kill()  # `replace_lost` then tries until a worker starts

    def _start_worker(self, generation: Generation, restarts: int, new_interpreter: bool) -> WorkerProcess:
        """A new worker that accepts connections. Raises `Aborted`."""
        pool, answer_early = self._pool, not generation.is_serving
        worker = pool.spawn(
            generation,
            queue.SimpleQueue(),
            _emit_nothing,
            answer_early=answer_early,
            new_interpreter=new_interpreter,
            restarts=restarts,
        )
        try:
            worker = make_ready(pool, generation, worker, None, _emit_nothing, answer_early=answer_early)
            if pool.live is not generation:
                raise Aborted(failure("cancelled", "switch", "another revision serves meanwhile"))
            if worker.request("accept") is None:
                raise Aborted(worker.complete_failure(failure("worker-lost", "switch", "a new worker was lost")))
        except Aborted:
            worker.kill()
            raise
        return worker


def _emit_nothing(event: dict[str, Any]) -> None:
    """No client waits for the events of this start."""
