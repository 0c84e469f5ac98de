"""Counters of one worker, in Prometheus' text form. Each worker answers for itself: `pid` tells them apart."""

from __future__ import annotations

import os
import time
from bisect import bisect_left

from .memory import rss

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Requests of `/score` by status code, their latency, and how many are in hand. One thread writes."""

    def __init__(self, service: str, revision: str) -> None:
        self._labels = f'service="{_escape(service)}",revision="{_escape(revision)}",pid="{os.getpid()}"'
        self._codes: dict[int, int] = {}
        self._buckets = [0] * (len(BUCKETS) + 1)
        self._sum = 0.0
        self._started = time.time()
        self.in_flight = 0

    def observe(self, status: int, seconds: float) -> None:
        self._codes[status] = self._codes.get(status, 0) + 1
        self._buckets[bisect_left(BUCKETS, seconds)] += 1
        self._sum += seconds

    @property
    def answered(self) -> int:
        """Requests of `/score` that were answered, whatever the status."""
        return sum(self._codes.values())

    def text(self, ready: bool) -> bytes:
        labels = self._labels
        lines = ["# HELP mldeploy_requests_total Requests of /score.", "# TYPE mldeploy_requests_total counter"]
        lines += [f'mldeploy_requests_total{{{labels},code="{code}"}} {n}' for code, n in sorted(self._codes.items())]
        lines += [
            "# HELP mldeploy_request_seconds Time from a request's head to its answer.",
            "# TYPE mldeploy_request_seconds histogram",
        ]
        total = 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self._buckets, strict=True):
            total += count
            lines.append(f'mldeploy_request_seconds_bucket{{{labels},le="{bound}"}} {total}')
        lines += [
            f"mldeploy_request_seconds_sum{{{labels}}} {self._sum:.6f}",
            f"mldeploy_request_seconds_count{{{labels}}} {total}",
        ]
        gauges = {
            "mldeploy_requests_in_flight": ("Requests of /score in hand.", self.in_flight),
            "mldeploy_worker_ready": ("1 when the worker answers requests.", int(ready)),
            "mldeploy_worker_start_time_seconds": ("When the worker started.", round(self._started, 3)),
            "mldeploy_worker_resident_memory_bytes": ("Resident memory.", rss(os.getpid()) or 0),
        }
        for name, (text, value) in gauges.items():
            lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name}{{{labels}}} {value}"]
        return ("\n".join(lines) + "\n").encode()


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
