"""The percentile spectrum: latency over 1 / (1 - p), so that each further nine takes the same room."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.latency.figures.charts import Axis, Line, LineChart, Point, Shade, log_bounds, log_ticks
from mldeploy_jupyter.latency.figures.measured import Measured, Series, failure_notes, series
from mldeploy_jupyter.latency.statistics import (
    QUANTILES,
    TAIL_REQUESTS,
    count_independent,
    divide_blocks,
    find_quantile,
    percentile_name,
    quantile_interval,
    requests_needed,
)
from mldeploy_jupyter.latency.summary import service_times
from mldeploy_jupyter.latency.verdict import format_milliseconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TICKS = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
POINTS = 150  # of a line


def spectrum_chart(measured: Measured, points: int = POINTS, from_send: bool = False) -> LineChart:
    """The spectrum of every service, and of each revision where one was updated meanwhile.

    With `from_send` each has a second, thin line that counts from when a request was sent, not from when it was due.
    """
    import numpy as np

    lines, most = [], TAIL_REQUESTS
    for each in series(measured):
        most = max(most, len(each.latency))
        marked = _marked_points(each)
        lines.append(_line(each.name, each.style, np.sort(each.latency), points, marked))
        if from_send:
            ordered = np.sort(service_times(each.samples))
            lines.append(_line(f"{each.name}, from the send", each.style, ordered, points, (), thin=True))
    values = [value for line in lines for value in line.y if value > 0] or [1.0]
    low, high = log_bounds([*values, *([measured.budget] if measured.budget else [])])
    end = max(20.0, most * 1.05)
    return LineChart(
        "spectrum",
        "Latency by percentile",
        Axis("share of requests that were as fast or faster", "log", 1.0, end, _percentile_ticks(end)),
        Axis("latency", "log", low, high, log_ticks(low, high)),
        lines,
        shade=Shade(most / TAIL_REQUESTS, end, f"fewer than {TAIL_REQUESTS} requests"),
        limit=(measured.budget, f"budget {format_milliseconds(measured.budget)}") if measured.budget else None,
        notes=failure_notes(measured),
    )


def spectrum_points(ordered: Floats, points: int = POINTS) -> list[tuple[float, float]]:
    """The line of latencies in ascending order as (1 / (1 - p), latency), by nearest rank.

    It ends with the slowest request; one that never ended has no latency and no point.
    """
    import numpy as np

    count = len(ordered)
    if not count:
        return []
    x = np.geomspace(1.0, count, points) if count > 1 else np.ones(1)
    ranks = np.clip(np.ceil((1.0 - 1.0 / x) * count - 1e-9).astype(int) - 1, 0, count - 1)
    changes = np.concatenate(([True], ranks[1:] != ranks[:-1]))
    found = [
        *zip(x[changes].tolist(), ordered[ranks[changes]].tolist(), strict=True),
        (float(count), float(ordered[-1])),
    ]
    return [(at, value) for at, value in found if math.isfinite(value)]


def percentile_text(x: float) -> str:
    """`99.9 %` of 1 / (1 - p) = 1000."""
    percent = 100.0 * (1.0 - 1.0 / x)
    digits = 0 if percent < 90 else 1 if x < 100 else 2 if x < 1000 else 3 if x < 10_000 else 4
    text = f"{percent:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def _marked_points(each: Series) -> list[Point]:
    """The percentiles that enough requests stand behind, with their intervals."""
    import numpy as np

    ordered = np.sort(each.latency)
    blocks = divide_blocks(each.samples["block"].astype("int64"), each.samples["planned"])
    found = []
    for quantile in QUANTILES:
        value = find_quantile(ordered, quantile)
        if len(ordered) < requests_needed(quantile) or not math.isfinite(value):
            continue
        independent = count_independent(each.latency, blocks, quantile)
        low, high = quantile_interval(ordered, quantile, independent=independent)
        known = low > 0 and math.isfinite(high)
        name = "median" if quantile == 0.5 else percentile_name(quantile)
        found.append(Point(1.0 / (1.0 - quantile), value, name, low if known else None, high if known else None))
    return found


def _line(name: str, style: int, ordered: Floats, points: int, marked: Sequence[Point], thin: bool = False) -> Line:
    found = spectrum_points(ordered, points)
    return Line(
        name,
        style,
        [at for at, _ in found],
        [value for _, value in found],
        [percentile_text(at) for at, _ in found],
        marked,
        thin_from=1.0 if thin else max(1.0, len(ordered) / TAIL_REQUESTS),
    )


def _percentile_ticks(end: float) -> list[tuple[float, str]]:
    ticks = [(1.0 / (1.0 - quantile), f"{100 * quantile:g} %") for quantile in TICKS]
    return [(1.0, "0 %"), *(tick for tick in ticks if tick[0] <= end)]


def spectrum_data(ordered: Any, points: int) -> list[list[float]]:
    """The line as plain numbers, for a view: `[1 / (1 - p), milliseconds]`."""
    return [[round(at, 3), round(value, 4)] for at, value in spectrum_points(ordered, points)]
