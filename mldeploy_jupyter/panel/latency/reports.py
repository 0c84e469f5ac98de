"""A run as a view draws it, during the run and afterwards: read from its files, whichever process runs it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.text import format_size
from mldeploy_jupyter.latency.figures.charts import CellChart
from mldeploy_jupyter.latency.figures.heatmap import heatmap_chart
from mldeploy_jupyter.latency.figures.measured import Measured, Series, series
from mldeploy_jupyter.latency.figures.parts import PARTS, split_time
from mldeploy_jupyter.latency.figures.ramp import ramp_chart
from mldeploy_jupyter.latency.figures.spectrum import spectrum_data
from mldeploy_jupyter.latency.plan import PlannedPayload
from mldeploy_jupyter.latency.report import ENDINGS, describe_plan
from mldeploy_jupyter.latency.result import LatencyResult
from mldeploy_jupyter.latency.statistics import QUANTILES, percentile_name
from mldeploy_jupyter.latency.summary import summarise
from mldeploy_jupyter.latency.text import describe_rate
from mldeploy_jupyter.panel.context import PanelContext

if TYPE_CHECKING:
    from mldeploy_jupyter.api.workspace import Workspace

POINTS = 60  # of a spectrum: a page draws it 360 pixels wide
CELLS = 4000  # of all services together

PAYLOADS = {
    "sample": "The sample",
    "value": "A value",
    "lines": "A file of JSON lines",
    "function": "A function's values",
    "bytes": "A body",
}


def describe_run(context: PanelContext, workspace: Workspace, run: LatencyResult) -> dict[str, Any]:
    """The run as `LatencyReport` of the protocol. Of one that has ended, with cells, verdict and comparison."""
    measured, ending = Measured(run.counted, run.plan, marks=run.marks), run.ending
    ended = ending.reason != "running"
    previous = run.find_previous(workspace) if ended and run.valid else None
    return {
        "run": run.id,
        "workspace": workspace.folder.id,
        "services": [service.name for service in run.plan.services],
        "state": ending.reason,
        "begun": _stamp(run.begun),
        "ended": _stamp(run.ended),
        "elapsedSeconds": _elapsed(context, run),
        "seconds": run.plan.seconds,
        "load": _capital(describe_plan(run)),
        "payload": _payload(run.plan.payload),
        "warmup": run.plan.warmup,
        "invalid": run.invalid_reason,
        "series": _describe_series(measured),
        "ramp": _describe_ramp(measured) if run.plan.ramp is not None else None,
        "cells": _cells(heatmap_chart(measured, CELLS)) if ended and len(run.samples) else [],
        "verdict": _verdict(run, previous) if ended else [],
        "notes": list(run.notes),
        "against": _stamp(previous.begun) if previous is not None else "",
    }


def describe_row(run: LatencyResult, service: str) -> dict[str, Any]:
    """The run as `LatencyRow` of the protocol, with the numbers of this service."""
    rows = [row for row in run.rows() if row["service"] == service] if run.ending.reason != "running" else []
    row: Mapping[str, Any] = rows[0] if rows else {"requests": 0}
    return {
        "run": run.id,
        "time": _stamp(run.begun),
        "state": run.ending.reason,
        "services": [each.name for each in run.plan.services],
        "load": _capital(describe_plan(run)),
        "requests": row["requests"],
        "valid": run.valid,
        **{name: row.get(name) for name in ("p50", "p95", "p99")},
    }


def _verdict(run: LatencyResult, previous: LatencyResult | None) -> list[str]:
    """The sentences of the run, without those that the view says itself: that it is invalid, and how it ended."""
    said = {*ENDINGS.values(), f"invalid: {run.invalid_reason}"}
    return [line for line in run.judge(previous) if line not in said]


def _describe_series(measured: Measured) -> list[dict[str, Any]]:
    plan = measured.plan
    rows = {(row["service"], row["workspace"], 0): row for row in summarise(measured.samples, plan)}
    found = []
    each: Series
    drawn = list(series(measured))
    if any(each.revision for each in drawn):
        revisions = summarise(measured.samples, plan, "revision")
        rows |= {(row["service"], row["workspace"], row["revision"]): row for row in revisions}
    for each in drawn:
        service = plan.services[each.service]
        found.append(_one_series(each, rows[service.name, service.workspace, each.revision]))
    return found


def _one_series(each: Series, row: Mapping[str, Any]) -> dict[str, Any]:
    import numpy as np

    typical = split_time(each)[:1]
    parts = typical[0][1] if typical and row["run"] is not None else []
    return {
        **_numbers(row),
        "name": each.name,
        "revision": each.revision,
        "points": spectrum_data(np.sort(each.latency), POINTS),
        "parts": [{"name": title.lower(), "title": title, "ms": ms} for title, ms in zip(PARTS, parts, strict=False)],
    }


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the summary as `LatencySeries` of the protocol, without what is drawn."""
    percentiles = [
        {
            "name": percentile_name(quantile), "share": quantile, "ms": row[name],
            "low": row[f"{name}_low"], "high": row[f"{name}_high"],
        }
        for quantile in QUANTILES
        if row[name := percentile_name(quantile)] is not None
    ]  # fmt: skip
    return {
        "name": row["service"],
        "service": row["service"],
        "revision": 0,
        "requests": row["requests"],
        "errors": row["errors"],
        "unsent": row["dropped"],
        "rate": row["rate_reached"],
        "percentiles": percentiles,
        "slowest": row["max"],
        "coldStart": row["cold_start"],
        "points": [],
        "parts": [],
    }


def _describe_ramp(measured: Measured) -> dict[str, Any]:
    """The steps of a ramp as `LatencyRamp` of the protocol: the lines of the figure, its knees, and a row for each."""
    chart = ramp_chart(measured)
    rows = summarise(measured.samples, measured.plan, "step")
    return {
        "lines": [
            {
                "name": line.name,
                "style": line.style,
                "points": [list(point) for point in zip(line.x, line.y, strict=True)],
            }
            for line in chart.lines
        ],
        "marks": [{"at": mark.at, "text": mark.text} for mark in chart.marks],
        "steps": [
            {**_numbers(row), "name": f"{row['service']} at {describe_rate(row['rate_wanted'])}", "coldStart": None}
            for row in rows
        ],
    }


def _cells(chart: CellChart) -> list[dict[str, Any]]:
    return [
        {
            "name": row.name,
            "times": [round(at, 3) for at in chart.x_edges],
            "latencies": [round(at, 5) for at in chart.y_edges],
            "counts": [list(counts) for counts in row.counts],
            "failures": [{"title": title, "counts": list(counts)} for title, counts in row.failures],
            "marks": [{"at": round(mark.at, 3), "text": mark.text} for mark in chart.marks],
        }
        for row in chart.rows
    ]


def _elapsed(context: PanelContext, run: LatencyResult) -> float:
    if run.ending.reason == "running":
        return round(max(0.0, (context.now() - datetime.fromisoformat(run.begun)).total_seconds()), 1)
    if run.ending.elapsed or not len(run.samples):
        return round(run.ending.elapsed, 1)
    return round(float(run.samples["done"].max()), 1)  # of one that was interrupted


def _payload(payload: PlannedPayload) -> str:
    """`The sample, 0.2 kB`."""
    title, several = PAYLOADS.get(payload.kind, payload.kind), payload.count > 1
    size = format_size(payload.bytes // max(1, payload.count)) if payload.bytes else ""
    bodies = f"{payload.count:,} bodies" if several else ""
    return ", ".join(part for part in (title, bodies, f"{size} on average" if several and size else size) if part)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _stamp(time: str) -> str:
    """A time as the protocol has it; "" for none."""
    if not time:
        return ""
    return datetime.fromisoformat(time).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
