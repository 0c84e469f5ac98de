"""The share of requests that were answered within a time: the body of the distribution, without a choice of bins."""

from __future__ import annotations

import math

from mldeploy_jupyter.latency.figures.charts import Axis, Line, LineChart, Point, log_bounds, log_ticks
from mldeploy_jupyter.latency.figures.measured import Measured, failure_notes, series
from mldeploy_jupyter.latency.statistics import find_quantile
from mldeploy_jupyter.latency.verdict import format_milliseconds

POINTS = 200  # of a line
SHARES = (0, 25, 50, 75, 90, 100)  # with a tick, in percent


def ecdf_chart(measured: Measured, points: int = POINTS) -> LineChart:
    """The empirical distribution of every service, and of each revision where one was updated meanwhile."""
    import numpy as np

    lines = []
    for each in series(measured):
        ordered = np.sort(each.latency)
        count = len(ordered)
        # Half of the points are spread evenly, half over both ends, where there are few requests.
        tail = np.geomspace(1.0, max(count, 2), points // 4)
        wanted = np.concatenate((np.linspace(1, count, points // 2), tail, count + 1 - tail))
        ranks = np.unique(np.clip(np.round(wanted).astype(int), 1, count))
        ranks = ranks[np.isfinite(ordered[ranks - 1])]
        share = 100.0 * ranks / count
        middle = find_quantile(ordered, 0.5)
        lines.append(
            Line(
                each.name,
                each.style,
                ordered[ranks - 1].tolist(),
                share.tolist(),
                [f"{value:.4g} % of {count:,} requests" for value in share],
                [Point(middle, 50.0, "median")] if math.isfinite(middle) else [],
            )
        )
    values = [value for line in lines for value in line.x if value > 0] or [1.0]
    low, high = log_bounds([*values, *([measured.budget] if measured.budget else [])])
    return LineChart(
        "ecdf",
        "Requests answered within a time",
        Axis("latency", "log", low, high, log_ticks(low, high)),
        Axis("share of the requests", "linear", 0.0, 101.0, [(share, f"{share} %") for share in SHARES]),
        lines,
        limit=(measured.budget, f"budget {format_milliseconds(measured.budget)}") if measured.budget else None,
        notes=failure_notes(measured),
    )
