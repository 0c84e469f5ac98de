"""Requests on their way through `run()`: one job each, or the result of a batch."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

from ..scoring.messages import Request, Response, error_response


class Job:
    """One request that waits, runs, or is done. Times are of `time.perf_counter`."""

    started = 0.0  # when the call of run() began
    claimed = False  # taken from the queue: it runs, or is about to
    running = done = False
    abandoned = False  # the client disconnected, or was answered otherwise: no call is needed
    expired = False  # answered at a deadline
    interrupted = False  # DeadlineExceeded was raised in its thread
    response: Response | None = None
    batch = 1  # how many requests its call of run() answered
    thread = 0
    task: asyncio.Task[Any] | None = None

    def __init__(self, exchange: Any, request: Request) -> None:
        self.exchange = exchange
        self.request = request
        self.queued = perf_counter()


class BatchResult:
    """Requests that one call of `run()` answered, all with 200; `bodies` are the answers to them.

    `timings` are the milliseconds of parse, run and serialise, the same for every request. `size`: how many requests
    the call had.
    """

    def __init__(self, jobs: list[Job], bodies: list[bytes], timings: tuple[float, float, float]) -> None:
        self.jobs = jobs
        self.bodies = bodies
        self.timings = timings
        self.size = len(jobs)

    def drop_expired(self) -> None:
        """Leaves out requests that were answered at a deadline."""
        if any([job.expired for job in self.jobs]):
            kept = [pair for pair in zip(self.jobs, self.bodies, strict=True) if not pair[0].expired]
            self.jobs, self.bodies = [job for job, _ in kept], [body for _, body in kept]


def unanswered() -> Response:
    """The answer for a job whose call ended without one."""
    response = error_response(500, "script-failed", "run() was ended before it had a result", "run()")
    response.failed = True
    return response
