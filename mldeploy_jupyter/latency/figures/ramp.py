"""Latency over the rate that was reached, and the knee: where more load no longer buys more answers."""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.latency.figures.charts import (
    Axis,
    Line,
    LineChart,
    Mark,
    Point,
    linear_ticks,
    log_bounds,
    log_ticks,
)
from mldeploy_jupyter.latency.figures.measured import Measured, failure_notes
from mldeploy_jupyter.latency.statistics import QUANTILES, find_knee, percentile_name
from mldeploy_jupyter.latency.summary import summarise
from mldeploy_jupyter.latency.verdict import format_milliseconds

Row = dict[str, Any]  # a step of a service, as `summary.summarise` has it

MEDIAN = percentile_name(0.5)


def ramp_chart(measured: Measured) -> LineChart:
    """Two lines for each service over the rate that it reached at each step: its median, and its highest percentile
    that every step has enough requests for.
    """
    rows = [row for row in summarise(measured.samples, measured.plan, "step") if row["rate_reached"] and row[MEDIAN]]
    names = [name for name in map(percentile_name, QUANTILES) if rows and all(row[name] for row in rows)]
    lines, marks = [], []
    for style, (service, title) in enumerate(zip(measured.plan.services, measured.names, strict=True)):
        steps = [row for row in rows if (row["service"], row["workspace"]) == (service.name, service.workspace)]
        steps.sort(key=lambda row: float(row["step"]))
        rates = [float(row["rate_reached"]) for row in steps]
        for at, name in enumerate(dict.fromkeys([MEDIAN, *names[-1:]]) if steps else ()):
            points = [Point(rate, row[name], _words(row)) for rate, row in zip(rates, steps, strict=True)]
            y, hover = [point.y for point in points], [point.text for point in points]
            label = "median" if name == MEDIAN else name
            lines.append(Line(f"{title}, {label}", 2 * style + at, rates, y, hover, points))
        knee = find_knee(rates, [row[MEDIAN] for row in steps])
        if knee is not None:
            marks.append(Mark(rates[knee], f"knee of {title}: {rates[knee]:,.0f} a second"))
    end = max([rate for line in lines for rate in line.x], default=1.0) * 1.08
    values = [value for line in lines for value in line.y] or [1.0]
    low, high = log_bounds([*values, *([measured.budget] if measured.budget else [])])
    return LineChart(
        "ramp",
        "Latency over the rate",
        Axis("rate reached", "linear", 0.0, end, [(at, f"{at:,g}/s") for at in linear_ticks(0.0, end)]),
        Axis("latency", "log", low, high, log_ticks(low, high)),
        lines,
        marks,
        limit=(measured.budget, f"budget {format_milliseconds(measured.budget)}") if measured.budget else None,
        notes=failure_notes(measured),
    )


def _words(row: Row) -> str:
    reached = f"{row['rate_reached']:,.0f} a second"
    if row["rate_wanted"] is None:
        return f"{reached}, {row['users']:,} users"
    return f"{reached}, {row['rate_wanted']:,.0f} wanted"
