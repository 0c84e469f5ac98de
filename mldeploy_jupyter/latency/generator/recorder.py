"""Writes the samples, and keeps the counts and the rough quantiles that are shown while the run is in progress."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from mldeploy_jupyter.latency.generator.connection import Answer, Request
from mldeploy_jupyter.latency.generator.lag import Histogram
from mldeploy_jupyter.latency.recording import RECORD, Outcome, Phase


class Tally:
    """The measured requests of one service, without its warm-up. `seconds` is how long it was under load."""

    def __init__(self) -> None:
        self.planned = self.done = self.failed = self.dropped = 0
        self.seconds = 0.0
        self.latencies = Histogram()

    def to_dict(self) -> dict[str, Any]:
        """Latencies in milliseconds, to 2 %."""
        return {
            "planned": self.planned,
            "done": self.done,
            "failed": self.failed,
            "dropped": self.dropped,
            "p50": round(self.latencies.quantile(0.5) * 1000, 3),
            "p99": round(self.latencies.quantile(0.99) * 1000, 3),
        }


class Recorder:
    """Appends to the file `descriptor`. `origin` is the moment, on the monotonic clock, from which times are counted.

    Samples stay in memory until `flush`, so that the last ones can be taken back with `discard`.
    """

    def __init__(self, descriptor: int, services: int, origin: float, write: Callable[..., int] = os.write) -> None:
        self._descriptor, self._origin, self._write = descriptor, origin, write
        self._unwritten = bytearray()
        self.tallies = [Tally() for _ in range(services)]

    def add(self, request: Request, answer: Answer, done: float) -> None:
        origin, lag = self._origin, request.lag
        self._unwritten += RECORD.pack(
            request.planned - origin, request.sent - origin, done - origin,
            request.service, answer.revision, answer.status, answer.outcome, request.phase, request.block, request.step,
            answer.queue, answer.parse, answer.run, answer.serialise, lag * 1000, request.connect * 1000,
        )  # fmt: skip
        if request.phase != Phase.MEASURED:
            return
        tally = self.tallies[request.service]
        tally.done += 1
        outcome = answer.outcome
        if outcome is not Outcome.OK:
            tally.failed += 1
            tally.dropped += outcome is Outcome.DROPPED
        tally.latencies.add(done - request.planned)

    def flush(self) -> None:
        """Raises `OSError` when the disk is full."""
        while self._unwritten:
            written = self._write(self._descriptor, self._unwritten)
            del self._unwritten[:written]

    def discard(self) -> int:
        """Forgets what was not written yet, and returns how many samples that were."""
        count = len(self._unwritten) // RECORD.size
        self._unwritten.clear()
        return count
