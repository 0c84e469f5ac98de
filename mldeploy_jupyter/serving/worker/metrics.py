"""The metrics of the whole service in Prometheus' text format. Any worker can answer: all are on the scoreboard."""

from __future__ import annotations

from collections import Counter

from ..ipc.scoreboard import (
    CONNECTIONS,
    HISTOGRAMS,
    IN_FLIGHT,
    PID,
    READY,
    REVISION,
    SERVICE_COUNTERS,
    STARTED,
    Scoreboard,
)
from ..system.procfs import read_rss

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

_PHASES = ("queue", "parse", "run", "serialise")


def text(scoreboard: Scoreboard, service: str) -> bytes:
    """The metrics as text. Counters are sums over all workers, also those that have ended, so none ever decreases."""
    return scoreboard.read_consistently(lambda: _text(scoreboard, service))


def _text(scoreboard: Scoreboard, service: str) -> bytes:
    label = f'service="{_escape(service)}"'
    slots = scoreboard.active_slots()
    statuses: Counter[int] = Counter()
    for slot in slots:
        for status, count in slot.status_counts():
            statuses[status] += count
    lines = _head("mldeploy_requests_total", "counter", "Requests of /score, by status code.")
    lines += [f'mldeploy_requests_total{{{label},code="{code}"}} {count}' for code, count in sorted(statuses.items())]

    def histogram(name: str, kind: str, labels: str) -> list[str]:
        counts, total = [0] * (len(HISTOGRAMS[kind]) + 1), 0.0
        for slot in slots:
            found, seconds = slot.read_histogram(kind)
            counts, total = [a + b for a, b in zip(counts, found, strict=True)], total + seconds
        cumulated, out = 0, []
        for bound, count in zip((*(f"{b:g}" for b in HISTOGRAMS[kind]), "+Inf"), counts, strict=True):
            cumulated += count
            out.append(f'{name}_bucket{{{labels},le="{bound}"}} {cumulated}')
        return [*out, f"{name}_sum{{{labels}}} {total:.9g}", f"{name}_count{{{labels}}} {cumulated}"]

    lines += _head("mldeploy_request_seconds", "histogram", "Time from a request's first byte to its answer.")
    lines += histogram("mldeploy_request_seconds", "request", label)
    lines += _head("mldeploy_phase_seconds", "histogram", "The parts of that time: waiting, parse, run(), serialise.")
    for phase in _PHASES:
        lines += histogram("mldeploy_phase_seconds", phase, f'{label},phase="{phase}"')
    lines += _head("mldeploy_batch_requests", "histogram", "Requests that one call of run() answered.")
    lines += histogram("mldeploy_batch_requests", "batch", label)
    for field, (name, help_text) in SERVICE_COUNTERS.items():
        lines += [*_head(name, "counter", help_text), f"{name}{{{label}}} {scoreboard.service_fields[field]}"]

    workers = slots[1:]
    gauges = (
        ("mldeploy_requests_in_flight", "Requests of /score in flight.", lambda s: s.fields[IN_FLIGHT]),
        ("mldeploy_connections", "Open connections.", lambda s: s.fields[CONNECTIONS]),
        ("mldeploy_worker_ready", "1 when the worker answers requests.", lambda s: s.fields[READY]),
        ("mldeploy_worker_start_time_seconds", "When it started.", lambda s: s.fields[STARTED] / 1000),
        ("mldeploy_worker_resident_memory_bytes", "Resident memory.", lambda s: read_rss(s.fields[PID]) or 0),
    )
    for name, help_text, value in gauges:
        lines += _head(name, "gauge", help_text)
        for slot in workers:
            labels = f'{label},pid="{slot.fields[PID]}",revision="{slot.fields[REVISION]}"'
            lines.append(f"{name}{{{labels}}} {value(slot)}")
    lines += [*_head("mldeploy_workers", "gauge", "Workers that live."), f"mldeploy_workers{{{label}}} {len(workers)}"]
    return ("\n".join(lines) + "\n").encode()


def _head(name: str, kind: str, help_text: str) -> list[str]:
    return [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
