"""The thread that owns the user's code. Beside it the loop keeps answering.

It is the main thread: `init()` and every `run()` have the thread that a script of v1 had, so what is bound
to a thread (an SQLite connection, a signal handler) works. With `max_concurrent` above 1 more threads help.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from typing import Any


class Job:
    """One call that waits, runs, or is done. Times are of `time.perf_counter`."""

    __slots__ = ("abandoned", "call", "done", "future", "loop", "queued", "started")

    def __init__(self, call: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.call = call
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.queued = time.perf_counter()
        self.started = 0.0
        self.abandoned = False
        self.done = False


class Runner:
    """Runs jobs in order. `waiting` is how many have not begun."""

    def __init__(self, threads: int = 1) -> None:
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads = threads

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def submit(self, call: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> Job:
        job = Job(call, loop)
        self._queue.put(job)
        return job

    def serve(self) -> None:
        """Runs jobs in this thread until `stop`."""
        for _ in range(self._threads - 1):
            threading.Thread(target=self._work, daemon=True).start()
        self._work()

    def stop(self) -> None:
        for _ in range(self._threads):
            self._queue.put(None)

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            if job.abandoned:
                continue
            job.started = time.perf_counter()
            try:
                result, error = job.call(), None
            except BaseException as raised:
                result, error = None, raised
            job.done = True
            try:
                job.loop.call_soon_threadsafe(_settle, job, result, error)
            except RuntimeError:  # the loop has ended: nobody waits any more
                return


def _settle(job: Job, result: Any, error: BaseException | None) -> None:
    if job.future.done():
        return
    if error is None:
        job.future.set_result(result)
    else:
        job.future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))
