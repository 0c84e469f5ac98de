"""The figures of the whole service in Prometheus' text form, read off the scoreboard by whichever worker is asked."""

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


def text(board: Scoreboard, service: str) -> bytes:
    """Counters are sums over all workers, also over those that have ended: none ever goes back."""
    return board.read_consistently(lambda: _text(board, service))


def _text(board: Scoreboard, service: str) -> bytes:
    label = f'service="{_escape(service)}"'
    slots = board.active_slots()
    codes: Counter[int] = Counter()
    for slot in slots:
        for status, count in slot.status_counts():
            codes[status] += count
    lines = _head("mldeploy_requests_total", "counter", "Requests of /score, by status code.")
    lines += [f'mldeploy_requests_total{{{label},code="{status}"}} {count}' for status, count in sorted(codes.items())]

    def histogram(name: str, kind: str, labels: str) -> list[str]:
        counts, total = [0] * (len(HISTOGRAMS[kind]) + 1), 0.0
        for slot in slots:
            found, seconds = slot.read_histogram(kind)
            counts, total = [a + b for a, b in zip(counts, found, strict=True)], total + seconds
        below, out = 0, []
        for bound, count in zip((*(f"{b:g}" for b in HISTOGRAMS[kind]), "+Inf"), counts, strict=True):
            below += count
            out.append(f'{name}_bucket{{{labels},le="{bound}"}} {below}')
        return [*out, f"{name}_sum{{{labels}}} {total:.9g}", f"{name}_count{{{labels}}} {below}"]

    lines += _head("mldeploy_request_seconds", "histogram", "Time from a request's first byte to its answer.")
    lines += histogram("mldeploy_request_seconds", "request", label)
    lines += _head("mldeploy_phase_seconds", "histogram", "The parts of that time: waiting, parse, run(), serialise.")
    for phase in _PHASES:
        lines += histogram("mldeploy_phase_seconds", phase, f'{label},phase="{phase}"')
    lines += _head("mldeploy_batch_requests", "histogram", "Requests that one call of run() answered.")
    lines += histogram("mldeploy_batch_requests", "batch", label)
    for field, (name, said) in SERVICE_COUNTERS.items():
        lines += [*_head(name, "counter", said), f"{name}{{{label}}} {board.service_fields[field]}"]

    workers = slots[1:]
    gauges = (
        ("mldeploy_requests_in_flight", "Requests of /score in hand.", lambda s: s.fields[IN_FLIGHT]),
        ("mldeploy_connections", "Open connections.", lambda s: s.fields[CONNECTIONS]),
        ("mldeploy_worker_ready", "1 when the worker answers requests.", lambda s: s.fields[READY]),
        ("mldeploy_worker_start_time_seconds", "When it started.", lambda s: s.fields[STARTED] / 1000),
        ("mldeploy_worker_resident_memory_bytes", "Resident memory.", lambda s: read_rss(s.fields[PID]) or 0),
    )
    for name, said, value in gauges:
        lines += _head(name, "gauge", said)
        for slot in workers:
            mine = f'{label},pid="{slot.fields[PID]}",revision="{slot.fields[REVISION]}"'
            lines.append(f"{name}{{{mine}}} {value(slot)}")
    lines += [*_head("mldeploy_workers", "gauge", "Workers that live."), f"mldeploy_workers{{{label}}} {len(workers)}"]
    return ("\n".join(lines) + "\n").encode()


def _head(name: str, kind: str, said: str) -> list[str]:
    return [f"# HELP {name} {said}", f"# TYPE {name} {kind}"]


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
