"""A run as lines for a terminal: the table, the spectrum of percentiles as a sparkline, and the sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.text import display_width
from mldeploy_jupyter.latency.statistics import find_quantile, percentile_name, requests_needed
from mldeploy_jupyter.latency.verdict import format_milliseconds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SPECTRUM = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9999)  # of the sparkline

_BARS = "▁▂▃▄▅▆▇█"


def table(rows: Sequence[Sequence[str]], head: Sequence[str], right: int = 1) -> list[str]:
    """Aligned lines; the columns from number `right` on have numbers and end at one edge."""
    cells = [list(head), *(list(row) for row in rows)]
    widths = [max(display_width(row[column]) for row in cells) for column in range(len(head))]
    lines = []
    for row in cells:
        shown = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - display_width(cell))
            shown.append(space + cell if column >= right else cell + space)
        lines.append("  ".join(shown).rstrip())
    return lines


def describe_rate(rate: float | None) -> str:
    """`100/s`, `12.5/s`; `-` for none."""
    if rate is None:
        return "-"
    return f"{rate:,.0f}/s" if rate >= 99.5 or abs(rate - round(rate)) < 0.005 * rate else f"{rate:.1f}/s"


def percentile_table(rows: Sequence[Mapping[str, Any]], kind: str = "service") -> list[str]:
    """Requests, rate, errors and percentiles of each row, with the intervals of services below.

    A column that no row has a value for is left out.
    """
    names = [percentile_name(quantile) for quantile in (0.5, 0.9, 0.95, 0.99, 0.999)]
    names = [name for name in names if any(row[name] is not None for row in rows)]
    head = [kind.upper(), "REQUESTS", *(["RATE"] if kind != "revision" else []), "ERRORS", *names]
    shown = []
    for row in rows:
        cells = [_label(row, kind), f"{row['requests']:,}"]
        if kind != "revision":
            cells.append(describe_rate(row["rate_reached"]))
        cells.append(describe_share(row["errors"], row["requests"]))
        shown.append([*cells, *(format_milliseconds(row[name]) for name in names)])
        if kind == "service":
            spans = [describe_interval(row[f"{name}_low"], row[f"{name}_high"], row[name]) for name in names]
            shown.append(["  95 % CI", *[""] * (len(cells) - 1), *spans])
    return table(shown, head)


def describe_interval(low: float | None, high: float | None, value: float | None) -> str:
    """`1.95-2.04` in the unit in which the value is shown, `1.95-?` without a bound; "" without both."""
    if value is None or (low is None and high is None):
        return ""
    seconds = format_milliseconds(value).endswith(" s")

    def shown(bound: float | None) -> str:
        if bound is None:
            return "?"
        bound = bound / 1000 if seconds else bound
        return f"{bound:.{2 if bound < 9.995 else 1 if bound < 99.95 else 0}f}"

    return f"{shown(low)}-{shown(high)}"


def _label(row: Mapping[str, Any], kind: str) -> str:
    if kind == "revision":
        return f"{row['service']} revision {row['revision']}"
    if kind == "step":
        if row["rate_wanted"] is None:
            return f"{row['service']}, {row['users']:,} users"
        return f"{row['service']} at {describe_rate(row['rate_wanted'])}"
    return str(row["service"])


def describe_share(count: int, of: int) -> str:
    """`0`, `12 (1.2 %)`, `1,000 (100 %)`."""
    return f"{count:,} ({describe_percent(count / of)})" if count and of else f"{count:,}"


def describe_percent(share: float) -> str:
    """A share from 0 to 1 with two digits, such as `1.2 %`; only all is `100 %`."""
    percent = 100 * share
    return f"{percent:.2g} %" if percent < 99.5 else "100 %" if share >= 1 else "99 %"


def parts_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The medians of what a request's time is made of; no lines where no service says it."""
    names = ("network", "queue", "parse", "run", "serialise")
    told = [row for row in rows if row["run"] is not None]
    if not told:
        return []
    head = ["MEDIAN OF", *names, "cold start"]
    return table(
        [[row["service"], *(_short(row[name]) for name in names), _short(row["cold_start"])] for row in told], head
    )


def _short(value: float | None) -> str:
    return format_milliseconds(value) if value is None or value >= 0.005 or value <= 0 else f"{1000 * value:.0f} µs"


def describe_progress(event: Mapping[str, Any], names: Sequence[str]) -> str:
    """A line about a run in progress, from the load's message about it."""
    parts = []
    for name, service in zip(names, event.get("services", ()), strict=False):
        shown = f"{name} {service.get('done', 0):,}"
        done = service.get("done", 0)
        for key, quantile in (("p50", 0.5), ("p99", 0.99)):
            if service.get(key) is not None and done >= requests_needed(quantile):
                shown += f" {key} {format_milliseconds(service[key])}"
        failed = service.get("failed", 0) + service.get("dropped", 0)
        parts.append(f"{shown}, {failed:,} failed" if failed else shown)
    return f"{event.get('elapsed', 0):.0f} of {event.get('of', 0):.0f} s   {'   '.join(parts)}"


def sparklines(spectra: Mapping[str, Floats]) -> list[str]:
    """The percentiles of each service's latencies (in ascending order) as a line of bars, all on one log scale.

    Bars end where fewer than ten requests are slower.
    """
    shown = {name: _points(ordered) for name, ordered in spectra.items()}
    finite = [value for points in shown.values() for value in points if math.isfinite(value) and value > 0]
    if not finite:
        return []
    low, high = math.log(min(finite)), math.log(max(finite))
    width = max(display_width(name) for name in shown)
    lines = []
    for name, points in shown.items():
        space = " " * (width - display_width(name))
        if not points:
            lines.append(f"{name}{space}  too few requests")
            continue
        bars = "".join(_bar(value, low, high) for value in points)
        reach = f"{percentile_name(SPECTRUM[0])} to {percentile_name(SPECTRUM[len(points) - 1])}"
        span = f"{format_milliseconds(points[0])} to {format_milliseconds(points[-1])}"
        lines.append(f"{name}{space}  {bars}  {reach}: {span}")
    return lines


def _points(ordered: Floats) -> list[float]:
    return [find_quantile(ordered, quantile) for quantile in SPECTRUM if len(ordered) >= requests_needed(quantile)]


def _bar(value: float, low: float, high: float) -> str:
    if not math.isfinite(value) or value <= 0:
        return _BARS[-1] if value > 0 else _BARS[0]
    share = (math.log(value) - low) / (high - low) if high > low else 0.0
    return _BARS[min(len(_BARS) - 1, int(share * len(_BARS)))]
