"""Draws charts as SVG, for pages that run no script: exported notebooks, a forge's view of one, documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from math import log10

from mldeploy_jupyter.latency.figures.charts import Axis, BarChart, CellChart, Chart, Line, LineChart, Mark
from mldeploy_jupyter.latency.figures.palette import PAGE, STROKES, Palette, palette
from mldeploy_jupyter.latency.verdict import format_milliseconds

WIDTH = 720
LEFT, RIGHT, TOP = 76, 20, 36
PLOT_HEIGHT = 280  # of lines
ROW_HEIGHT = 170  # of a service's cells
STRIP_HEIGHT = 14  # of a row of failures
BAR_HEIGHT, BAR_GAP = 18, 12
LEGEND_HEIGHT = 20
CHARACTER = 6.4  # pixels that a character of 12 takes, on average
FONT = "font-family:system-ui,-apple-system,'Segoe UI',sans-serif"

Scale = Callable[[float], float]


class _Drawing:
    """SVG elements, one after the other, in the colours of a palette."""

    def __init__(self, colours: Palette) -> None:
        self.colours, self.elements = colours, list[str]()

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        anchor: str = "start",
        size: int = 11,
        colour: str = "",
        bold: bool = False,
    ) -> None:
        style = f"fill:{colour or self.colours.quiet};font-size:{size}px" + (";font-weight:600" if bold else "")
        self.elements.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="{style}">{escape(text)}</text>'
        )

    def rule(self, x1: float, y1: float, x2: float, y2: float, colour: str, dash: str = "") -> None:
        style = f"stroke:{colour};stroke-width:1" + (f";stroke-dasharray:{dash}" if dash else "")
        self.elements.append(f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" style="{style}"/>')

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        self.elements.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" style="fill:{colour}"/>'
        )

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float, dash: str) -> None:
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        style = f"fill:none;stroke:{colour};stroke-width:{width:g}" + (f";stroke-dasharray:{dash}" if dash else "")
        self.elements.append(f'<path d="{path}" style="{style}"/>')

    def marker(self, x: float, y: float, style: int, colour: str) -> None:
        shape = (
            "M{0} {1}m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
            "M{0} {1}m-3.5 -3.5h7v7h-7z",
            "M{0} {1}m0 -5l5 5l-5 5l-5 -5z",
            "M{0} {1}m0 -5l4.5 8h-9z",
            "M{0} {1}m-1.5 -4.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
            "M{0} {1}m-4 -4l8 8m0 -8l-8 8",
        )[style % 6].format(f"{x:.1f}", f"{y:.1f}")
        self.elements.append(
            f'<path d="{shape}" style="fill:{self.colours.background};stroke:{colour};stroke-width:2"/>'
        )

    def finish(self, height: float, label: str) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
            f'height="{height:.0f}" role="img" aria-label="{escape(label)}" style="max-width:100%;height:auto;{FONT}">'
            f'<rect width="{WIDTH}" height="{height:.0f}" style="fill:{self.colours.background}"/>'
            f"{''.join(self.elements)}</svg>"
        )


def draw(chart: Chart, dark: bool | None = None) -> str:
    """The chart as SVG. Without `dark` its colours are the page's where that has variables of JupyterLab."""
    drawing = _Drawing(PAGE if dark is None else palette(dark))
    drawing.text(LEFT, 22, chart.title, size=15, colour=drawing.colours.text, bold=True)
    if isinstance(chart, LineChart):
        bottom = _draw_lines(drawing, chart)
    elif isinstance(chart, CellChart):
        bottom = _draw_cells(drawing, chart)
    else:
        bottom = _draw_bars(drawing, chart)
    for note in chart.notes:
        bottom += 16
        drawing.text(LEFT, bottom, note)
    return drawing.finish(bottom + 12, describe(chart))


def describe(chart: Chart) -> str:
    """What the picture shows in words, for those who do not see it. The table beside it has all numbers."""
    if isinstance(chart, CellChart):
        said = [f"{row.name}: {sum(map(sum, row.counts)):,} answered requests" for row in chart.rows]
    elif isinstance(chart, BarChart):
        said = [f"{bar.name} {format_milliseconds(sum(bar.values))}" for bar in chart.bars]
    else:
        said = [
            f"{line.name}: " + ", ".join(f"{point.text} {format_milliseconds(point.y)}" for point in line.points)
            for line in chart.lines
            if line.points and chart.kind == "spectrum"
        ] or [line.name for line in chart.lines]
    return f"{chart.title}. " + ". ".join([*said, *chart.notes, *(mark.text for mark in _marks(chart))]) + "."


def _marks(chart: Chart) -> Sequence[Mark]:
    return () if isinstance(chart, BarChart) else chart.marks


def _draw_lines(drawing: _Drawing, chart: LineChart) -> float:
    top = TOP + _draw_legend(drawing, chart.lines)
    bottom = top + PLOT_HEIGHT
    x, y = _scale(chart.x, LEFT, WIDTH - RIGHT), _scale(chart.y, bottom, top)
    colours = drawing.colours
    if chart.shade is not None and chart.shade.begin < chart.shade.end:
        begin = x(chart.shade.begin)
        drawing.box(begin, top, x(chart.shade.end) - begin, PLOT_HEIGHT, colours.shade)
        drawing.text(WIDTH - RIGHT - 6, bottom - 8, chart.shade.text, anchor="end")
    _draw_axes(drawing, chart.x, chart.y, x, y, top, bottom, chart.x.title, chart.y.title)
    if chart.limit is not None and chart.kind != "ecdf":
        drawing.rule(LEFT, y(chart.limit[0]), WIDTH - RIGHT, y(chart.limit[0]), colours.failure, "2 3")
        drawing.text(LEFT + 6, y(chart.limit[0]) - 5, chart.limit[1], colour=colours.failure)
    if chart.limit is not None and chart.kind == "ecdf":
        drawing.rule(x(chart.limit[0]), top, x(chart.limit[0]), bottom, colours.failure, "2 3")
        drawing.text(x(chart.limit[0]) + 5, bottom - 8, chart.limit[1], colour=colours.failure)
    for line in chart.lines:
        _draw_line(drawing, line, x, y, stairs=chart.kind == "ecdf")
    _draw_marks(drawing, chart.marks, x, top, bottom)
    return bottom + 40


def _draw_line(drawing: _Drawing, line: Line, x: Scale, y: Scale, stairs: bool) -> None:
    colour = drawing.colours.series[line.style % len(drawing.colours.series)]
    points = [(x(at), y(value)) for at, value in zip(line.x, line.y, strict=True) if value > 0]
    if stairs:
        points = [step for before, after in pairwise(points) for step in (before, (after[0], before[1]))] + points[-1:]
    thin = x(line.thin_from * 1.0001) if line.thin_from else float("inf")
    cut = next((at for at, point in enumerate(points) if point[0] > thin), len(points))
    if cut > 1:
        drawing.line(points[:cut], colour, 2, STROKES[line.style % len(STROKES)])
    if cut < len(points):
        drawing.line(points[max(cut - 1, 0) :], colour, 1, "2 3")
    for point in line.points:
        if point.low is not None and point.high is not None:
            drawing.rule(x(point.x), y(point.low), x(point.x), y(point.high), colour)
        drawing.marker(x(point.x), y(point.y), line.style, colour)


def _draw_legend(drawing: _Drawing, lines: Sequence[Line]) -> float:
    """The legend in as many rows as it needs. Returns their height."""
    at, row = float(LEFT), 0
    for line in lines:
        room = 44 + CHARACTER * len(line.name)
        if at > LEFT and at + room > WIDTH - RIGHT:
            at, row = float(LEFT), row + 1
        colour, y = drawing.colours.series[line.style % len(drawing.colours.series)], TOP + 8 + row * LEGEND_HEIGHT
        drawing.line([(at, y), (at + 28, y)], colour, 2, STROKES[line.style % len(STROKES)])
        drawing.marker(at + 14, y, line.style, colour)
        drawing.text(at + 34, y + 4, line.name, size=12, colour=drawing.colours.text)
        at += room
    return (row + 1) * LEGEND_HEIGHT + 8 if lines else 8


def _draw_axes(
    drawing: _Drawing, across: Axis, up: Axis, x: Scale, y: Scale, top: float, bottom: float, below: str, beside: str
) -> None:
    colours, right = drawing.colours, WIDTH - RIGHT
    for at, text in up.ticks:
        drawing.rule(LEFT, y(at), right, y(at), colours.line)
        drawing.text(LEFT - 8, y(at) + 4, text, anchor="end")
    for at, text in across.ticks:
        drawing.rule(x(at), bottom, x(at), bottom + 4, colours.axis)
        if below:
            drawing.text(x(at), bottom + 17, text, anchor="start" if x(at) < LEFT + 12 else "middle")
    drawing.rule(LEFT, bottom, right, bottom, colours.axis)
    drawing.rule(LEFT, top, LEFT, bottom, colours.axis)
    if below:
        drawing.text((LEFT + right) / 2, bottom + 34, below, anchor="middle")
    middle = (top + bottom) / 2
    drawing.elements.append(
        f'<text transform="translate(16 {middle:.1f}) rotate(-90)" text-anchor="middle" '
        f'style="fill:{colours.quiet};font-size:11px">{escape(beside)}</text>'
    )


def _draw_marks(drawing: _Drawing, marks: Sequence[Mark], x: Scale, top: float, bottom: float) -> None:
    for at, mark in enumerate(marks):
        place = x(mark.at)
        drawing.rule(place, top, place, bottom, drawing.colours.text, "5 4")
        fits = place + 5 + CHARACTER * len(mark.text) < WIDTH - RIGHT
        drawing.text(
            place + (5 if fits else -5), top + 12 + 14 * (at % 4), mark.text,
            anchor="start" if fits else "end", colour=drawing.colours.text,
        )  # fmt: skip


def _draw_cells(drawing: _Drawing, chart: CellChart) -> float:
    x = _scale(chart.x, LEFT, WIDTH - RIGHT)
    most = max((count for row in chart.rows for cells in row.counts for count in cells), default=1) or 1
    top = bottom = float(TOP + 4)
    for number, row in enumerate(chart.rows):
        top = bottom + (8 if number else 0)
        for title, counts in row.failures:
            drawing.text(LEFT - 8, top + STRIP_HEIGHT - 3, title, anchor="end", colour=drawing.colours.failure)
            _draw_strip(drawing, [at for at, count in enumerate(counts) if count], chart, x, top)
            top += STRIP_HEIGHT + 2
        bottom = top + ROW_HEIGHT
        y = _scale(chart.y, bottom, top)
        last = number == len(chart.rows) - 1
        _draw_axes(drawing, chart.x, chart.y, x, y, top, bottom, chart.x.title if last else "", row.name)
        _draw_shades(drawing, row.counts, most, chart, x, y)
    _draw_marks(drawing, chart.marks, x, TOP + 4, bottom)
    return _draw_scale(drawing, most, bottom + 44)


def _draw_strip(drawing: _Drawing, columns: list[int], chart: CellChart, x: Scale, top: float) -> None:
    edges = [(x(chart.x_edges[at]), x(chart.x_edges[at + 1])) for at in columns]
    path = "".join(f"M{left:.1f} {top:.1f}H{right:.1f}v{STRIP_HEIGHT}H{left:.1f}z" for left, right in edges)
    drawing.elements.append(f'<path d="{path}" style="fill:{drawing.colours.failure}"/>')


def _draw_shades(
    drawing: _Drawing, counts: Sequence[Sequence[int]], most: int, chart: CellChart, x: Scale, y: Scale
) -> None:
    """One path for each shade: neighbours of one shade are drawn as one."""
    levels = len(drawing.colours.cells)
    paths: list[list[str]] = [[] for _ in range(levels)]
    for row, cells in enumerate(counts):
        upper, lower = y(chart.y_edges[row + 1]), y(chart.y_edges[row])
        shades = [_shade(count, most, levels) for count in cells]
        begin = 0
        for at in range(1, len(shades) + 1):
            if at < len(shades) and shades[at] == shades[begin]:
                continue
            if shades[begin] >= 0:
                left, right = x(chart.x_edges[begin]), x(chart.x_edges[at])
                paths[shades[begin]].append(f"M{left:.1f} {upper:.1f}H{right:.1f}V{lower:.1f}H{left:.1f}z")
            begin = at
    for path, colour in zip(paths, drawing.colours.cells, strict=True):
        if path:
            drawing.elements.append(f'<path d="{"".join(path)}" style="fill:{colour}"/>')


def _shade(count: int, most: int, levels: int) -> int:
    """The shade of a count by its root, so that few requests are seen beside many; -1 for none."""
    return -1 if not count else min(levels - 1, int((count / most) ** 0.5 * levels))


def _draw_scale(drawing: _Drawing, most: int, top: float) -> float:
    """What the shades mean. Returns where it ends."""
    colours = drawing.colours
    drawing.text(LEFT, top + 10, "1 request")
    at = LEFT + 60.0
    for colour in colours.cells:
        drawing.box(at, top, 22, 12, colour)
        at += 22
    drawing.text(at + 6, top + 10, f"{most:,} requests")
    return top + 14


def _draw_bars(drawing: _Drawing, chart: BarChart) -> float:
    colours = drawing.colours
    left = min(320.0, max(LEFT, 20 + CHARACTER * max((len(bar.name) for bar in chart.bars), default=0)))
    at, y = left, float(TOP + 8)
    for part, colour in zip(chart.parts, colours.parts, strict=False):
        room = 28 + CHARACTER * len(part)
        if at + room > WIDTH - RIGHT:
            at, y = left, y + LEGEND_HEIGHT
        drawing.box(at, y - 6, 12, 12, colour)
        drawing.text(at + 17, y + 4, part, size=12, colour=colours.text)
        at += room
    top = y + 18
    bottom = top + len(chart.bars) * (BAR_HEIGHT + BAR_GAP)
    x = _scale(chart.x, left, WIDTH - RIGHT)
    for value, text in chart.x.ticks:
        drawing.rule(x(value), top, x(value), bottom, colours.line)
        drawing.text(x(value), bottom + 16, text, anchor="middle")
    for number, bar in enumerate(chart.bars):
        upper, begin = top + BAR_GAP / 2 + number * (BAR_HEIGHT + BAR_GAP), 0.0
        drawing.text(left - 8, upper + 13, bar.name, anchor="end", size=12, colour=colours.text)
        for value, colour in zip(bar.values, colours.parts, strict=False):
            if value > 0:
                drawing.box(x(begin), upper, max(x(begin + value) - x(begin) - 1, 0.5), BAR_HEIGHT, colour)
            begin += value
        drawing.text(min(x(begin) + 6, WIDTH - RIGHT - 46), upper + 13, format_milliseconds(begin), colour=colours.text)
    drawing.rule(left, top, left, bottom, colours.axis)
    drawing.text((left + WIDTH - RIGHT) / 2, bottom + 32, chart.x.title, anchor="middle")
    return bottom + 36


def _scale(axis: Axis, begin: float, end: float) -> Scale:
    """From a value of the axis to its place between both pixels."""
    if axis.scale == "log":
        low, high = log10(axis.low), log10(axis.high)
        return lambda value: begin + (log10(max(value, 1e-12)) - low) / (high - low) * (end - begin)
    return lambda value: begin + (value - axis.low) / (axis.high - axis.low) * (end - begin)
