from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

from ..scoring.messages import Request, Response, error_response


def unanswered() -> Response:
    """What a job is answered with whose call ended without an answer."""
    response = error_response(500, "script-failed", "run() was ended before it had a result", "run()")
    response.failed = True
    return response


class Job:
    """One request that waits, runs, or is done. Times are of `time.perf_counter`."""

    started = 0.0
    abandoned = taken = done = running = interrupted = late = False
    response: Response | None = None
    answer = b""  # the body, where there is no response; see `BatchResult`
    batch = 1  # requests that the same call of run() answered
    thread = 0
    task: asyncio.Task[Any] | None = None

    def __init__(self, exchange: Any, request: Request) -> None:
        self.exchange = exchange
        self.request = request
        self.queued = perf_counter()


class BatchResult:
    """Requests that one call of `run()` has answered, all of them well; each has its `answer`.

    `timings` are milliseconds of parse, run and serialise, the same for all of them.
    """

    def __init__(self, jobs: list[Job], timings: tuple[float, float, float]) -> None:
        self.jobs = jobs
        self.timings = timings
