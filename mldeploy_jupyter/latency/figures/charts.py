"""What a picture shows, as plain data: axes, lines, cells, bars. A renderer draws it, in plotly or as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Scale = Literal["linear", "log"]


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, which are positive on a log scale. `title` has the unit."""

    title: str
    scale: Scale
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Point:
    """A point that is marked and named, with the interval that its value lies in where that is known."""

    x: float
    y: float
    text: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """One line. `style` chooses colour, dash and marker; `hover` says what each point is, beside its value.

    From `thin_from` on the line is drawn thin, because too few requests stand behind it.
    """

    name: str
    style: int
    x: Sequence[float]
    y: Sequence[float]
    hover: Sequence[str]
    points: Sequence[Point] = ()
    thin_from: float | None = None


@dataclass(frozen=True)
class Mark:
    """A place on the x axis with a word about it, such as a deployment."""

    at: float
    text: str


@dataclass(frozen=True)
class Shade:
    """A part of the x axis that is shaded, and why."""

    begin: float
    end: float
    text: str


@dataclass(frozen=True)
class LineChart:
    """Lines over a common x axis. `limit` is a horizontal line, such as a budget, with its word."""

    kind: str
    title: str
    x: Axis
    y: Axis
    lines: Sequence[Line]
    marks: Sequence[Mark] = ()
    shade: Shade | None = None
    limit: tuple[float, str] | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class CellRow:
    """The cells of one service: `counts[row][column]`, rows from the fastest, columns from the earliest.

    `failures` has the counts by column of what has no latency of its own or one that is a limit: time-outs, errors,
    requests that were never sent. They are drawn apart, so that no limit looks like a latency.
    """

    name: str
    counts: Sequence[Sequence[int]]
    failures: Sequence[tuple[str, Sequence[int]]] = ()


@dataclass(frozen=True)
class CellChart:
    """Counts by time and latency, a row of the picture for each service. `x_edges` and `y_edges` bound the cells."""

    kind: str
    title: str
    x: Axis
    y: Axis
    x_edges: Sequence[float]
    y_edges: Sequence[float]
    rows: Sequence[CellRow]
    marks: Sequence[Mark] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Bar:
    """A bar of parts, in the order of the chart's parts; a part that is not known is 0."""

    name: str
    group: str
    values: Sequence[float]


@dataclass(frozen=True)
class BarChart:
    """Stacked bars."""

    kind: str
    title: str
    x: Axis
    parts: Sequence[str]
    bars: Sequence[Bar]
    notes: Sequence[str] = field(default=())


Chart = LineChart | CellChart | BarChart


def log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Ticks in milliseconds at 1, 2 and 5 of each decade between both bounds; fewer where there are many decades."""
    from math import ceil, floor, log10

    first, last = floor(log10(low)), ceil(log10(high))
    steps = (1, 2, 5) if last - first <= 3 else (1, 3) if last - first <= 4 else (1,)
    values = [step * 10.0**decade for decade in range(first, last + 1) for step in steps]
    return [(value, tick_text(value)) for value in values if low * 0.999 <= value <= high * 1.001]


def tick_text(milliseconds: float) -> str:
    """`0.5 ms`, `2 s`."""
    return f"{milliseconds / 1000:g} s" if milliseconds >= 1000 else f"{milliseconds:g} ms"


def log_bounds(values: Sequence[float]) -> tuple[float, float]:
    """Bounds of a log axis for these positive values, with some room. It spans half a decade at least."""
    low, high = min(values) / 1.15, max(values) * 1.15
    if high / low < 3.2:
        middle = (low * high) ** 0.5
        low, high = middle / 3.2**0.5, middle * 3.2**0.5
    return low, high


def linear_ticks(low: float, high: float, most: int = 8) -> list[float]:
    """At most that many round values between both bounds."""
    from math import ceil, floor, log10

    if high <= low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [round(step * number, 10) for number in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]
