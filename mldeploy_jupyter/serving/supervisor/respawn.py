"""What takes the place of a worker that died, hangs, or has answered as many requests as it may."""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING, Any

from ..ipc.failure import failure
from ..ipc.scoreboard import OVER_MEMORY, RECYCLED, RESTARTS
from ..log.entry import utc_now
from .generation import ORDER_WAIT, Generation, Stopped, nobody
from .startup import make_ready
from .worker_process import Worker

if TYPE_CHECKING:
    from .arbiter import Arbiter


FIRST_BACKOFF, LAST_BACKOFF = 0.1, 5.0  # seconds between two starts of a worker that keeps dying


class Respawner:
    """The workers of what serves now stay as many as they are. Every public method may be called from any thread."""

    def __init__(self, fleet: Arbiter) -> None:
        self.last_exit: dict[str, Any] | None = None  # why the last worker died that served
        self._fleet = fleet

    def on_exit(self, worker: Worker) -> None:
        """A worker that served has died: start another at once."""
        with self._fleet.lock:
            self._fleet.forget(worker)
            live = self._fleet.live
            if live is None or worker not in live.workers or self._fleet.stopping:
                return
            live.workers.remove(worker)
        self._fleet.board.service_fields[RESTARTS] += 1
        self.last_exit = {**worker.failure_of_exit(), "stage": "run", "pid": worker.pid, "time": utc_now()}
        if self.last_exit["code"] == "memory-limit":
            self._fleet.board.service_fields[OVER_MEMORY] += 1
        self._fleet.log.write(f"worker {worker.pid}: {self.last_exit['message']}; starting another")
        for request_id in worker.lost:
            self._fleet.log.write(
                f"[{request_id}] lost with worker {worker.pid}: its connection broke without an answer"
            )
        self.refill(live, worker.restarts + 1, fresh=worker.forked and worker.crashed)

    def refill(self, generation: Generation, restarts: int, fresh: bool = False) -> None:
        """Starts workers until one is ready, with growing pauses while they keep dying."""
        pause = FIRST_BACKOFF
        while not self._fleet.stopping and self._fleet.live is generation:
            try:
                worker = self._start_one(generation, restarts, fresh)
            except Stopped as stopped:
                generation.failure = stopped.failure
                self._fleet.log.write(f"a worker could not start: {stopped.failure['message']}")
                time.sleep(pause)
                pause = min(pause * 2, LAST_BACKOFF)
                restarts += 1
                continue
            with self._fleet.lock:
                wanted = self._fleet.live is generation and not self._fleet.stopping
                if wanted:
                    generation.workers.append(worker)
                    generation.was_live, generation.failure = True, None
                    worker.state, worker.on_exit = "live", self.on_exit
            if not wanted:  # it came too late, but it may have requests by now
                self._fleet.drain([worker], 0 if self._fleet.stopping else generation.settings.drain_timeout)
                return
            self._fleet.deliver_orphans()
            if worker.exited.is_set():
                self.on_exit(worker)
            self._fleet.look_ahead(generation)
            return

    def _start_one(self, generation: Generation, restarts: int = 0, fresh: bool = False) -> Worker:
        early = nobody(generation)
        worker = self._fleet.spawn(generation, queue.SimpleQueue(), lambda _: None, early=early, fresh=fresh)
        worker.restarts = restarts
        try:
            worker = make_ready(self._fleet, generation, worker, None, lambda _: None, early=early)
            if self._fleet.live is not generation:
                raise Stopped(failure("cancelled", "switch", "another revision serves meanwhile"))
            if worker.ask("accept", ORDER_WAIT) is None:
                raise Stopped(worker.complete(failure("worker-lost", "switch", "a new worker was lost")))
        except Stopped:
            worker.kill()
            raise
        return worker

    def replace(self, worker: Worker, fresh: bool = False) -> None:
        """A new worker takes the place of one that lives; raises `Stopped` when it cannot start."""
        with self._fleet.lock:
            generation = self._fleet.live
            if generation is None or worker not in generation.workers:
                return
        new = self._start_one(generation, worker.restarts + 1, fresh)
        with self._fleet.lock:
            wanted = self._fleet.live is generation and worker in generation.workers
            if wanted:
                generation.workers[generation.workers.index(worker)] = new
                new.state, new.on_exit = "live", self.on_exit
        if not wanted:
            self._fleet.drain([new], generation.settings.drain_timeout)
            return
        self._fleet.deliver_orphans()
        self._fleet.drain([worker], generation.settings.drain_timeout)

    def recycle(self, worker: Worker) -> None:
        self.replace(worker)
        self._fleet.board.service_fields[RECYCLED] += 1

    def stuck(self, worker: Worker) -> None:
        try:
            self.replace(worker, fresh=worker.forked)
        except Stopped as stopped:
            self._fleet.log.write(f"worker {worker.pid} cannot be replaced: {stopped.failure['message']}; ending it")
            worker.kill()  # the refill then tries until it works
