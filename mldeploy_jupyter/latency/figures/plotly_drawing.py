"""Draws charts with plotly, which is imported by the functions that use it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.latency.figures.charts import Axis, BarChart, CellChart, Chart, Line, LineChart, Mark
from mldeploy_jupyter.latency.figures.palette import DASHES, SYMBOLS, Palette, palette

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PLOTLY_MIME = "application/vnd.plotly.v1+json"

HEIGHT = 420  # pixels
ROW_HEIGHT = 260  # of a service's cells
BAR_HEIGHT = 36
FONT = "system-ui, -apple-system, 'Segoe UI', sans-serif"
HATCHES = ("", "/", ".", "", "\\", "")  # of a bar's parts: neighbours differ without colour


def draw(chart: Chart, dark: bool = False, svg: str = "") -> Figure:
    """The chart as a figure of plotly on a light or a dark background.

    Pages that do not know plotly, such as exported notebooks, show `svg`.
    """
    colours = palette(dark)
    if isinstance(chart, LineChart):
        figure = _draw_lines(chart, colours)
    elif isinstance(chart, CellChart):
        figure = _draw_cells(chart, colours)
    else:
        figure = _draw_bars(chart, colours)
    return _figure_class()(figure).put_beside(svg)


@cache
def _figure_class() -> Any:
    from plotly.graph_objects import Figure

    class RunFigure(Figure):  # type: ignore[misc]
        """A figure of plotly that is displayed with an SVG beside it."""

        _svg = ""
        _ipython_display_ = None  # which knows one form only

        def put_beside(self, svg: str) -> RunFigure:
            self._svg = svg
            return self

        def _repr_mimebundle_(self, *args: Any, **options: Any) -> dict[str, Any]:
            own = super()._repr_mimebundle_(*args, **options)  # of the renderers that the user chose
            return {"text/plain": "<figure>", "text/html": self._svg, PLOTLY_MIME: json.loads(self.to_json()), **own}

    return RunFigure


def _draw_lines(chart: LineChart, colours: Palette) -> Figure:
    from plotly import graph_objects as go

    figure = go.Figure()
    along_x = chart.kind == "ecdf"  # where latency is the x axis
    for line in chart.lines:
        figure.add_traces(_traces(line, colours, along_x))
    if chart.shade is not None and chart.shade.begin < chart.shade.end:
        figure.add_vrect(
            x0=chart.shade.begin, x1=chart.shade.end, fillcolor=colours.shade, line_width=0, layer="below"
        )  # fmt: skip
        _add_word(figure, chart.shade.text, 1.0, 0.0, colours.quiet, xanchor="right", yanchor="bottom")
    if chart.limit is not None:
        limit, text = chart.limit
        dotted = {"color": colours.failure, "width": 1, "dash": "dot"}
        if along_x:
            figure.add_vline(x=limit, line=dotted)
            _add_word(figure, text, _place(chart.x, limit), 0.0, colours.failure, xanchor="left", yanchor="bottom")
        else:
            figure.add_hline(y=limit, line=dotted)
            _add_word(figure, text, 0.0, _place(chart.y, limit), colours.failure, xanchor="left", yanchor="bottom")
    _add_marks(figure, chart.marks, chart.x, colours)
    figure.update_xaxes(**_axis(chart.x, colours))
    figure.update_yaxes(**_axis(chart.y, colours))
    return _finish(figure, chart.title, chart.notes, colours, HEIGHT)


def _place(axis: Axis, value: float) -> float:
    """Where the value stands on its axis, from 0 to 1. Annotations of plotly take no value on a log axis."""
    from math import log10

    low, high = (log10(axis.low), log10(axis.high)) if axis.scale == "log" else (axis.low, axis.high)
    at = log10(value) if axis.scale == "log" else value
    return min(1.0, max(0.0, (at - low) / (high - low)))


def _add_word(figure: Any, text: str, x: float, y: float, colour: str, **place: Any) -> None:
    """A word at a place of the plot, both coordinates from 0 to 1."""
    figure.add_annotation(
        text=text, x=x, y=y, xref="paper", yref="paper", showarrow=False, font={"size": 11, "color": colour}, **place
    )


def _traces(line: Line, colours: Palette, along_x: bool) -> list[Any]:
    from plotly import graph_objects as go

    colour = colours.series[line.style % len(colours.series)]
    dash, symbol = DASHES[line.style % len(DASHES)], SYMBOLS[line.style % len(SYMBOLS)]
    value = "%{x:,.3~g} ms" if along_x else "%{y:,.3~g} ms"
    hover = f"{line.name}<br>%{{customdata}}<br>{value}<extra></extra>"
    shape = "hv" if along_x else "linear"
    cut = next((at for at, x in enumerate(line.x) if line.thin_from and x > line.thin_from * 1.0001), len(line.x))
    traces: list[Any] = []
    if cut:
        traces.append(
            go.Scatter(
                x=line.x[:cut], y=line.y[:cut], customdata=line.hover[:cut], name=line.name, mode="lines",
                line={"color": colour, "dash": dash, "width": 2, "shape": shape},
                hovertemplate=hover, legendgroup=line.name,
            )
        )  # fmt: skip
    if cut < len(line.x):
        begin = max(cut - 1, 0)  # both parts meet
        traces.append(
            go.Scatter(
                x=line.x[begin:], y=line.y[begin:], customdata=line.hover[begin:], name=line.name, mode="lines",
                line={"color": colour, "dash": "dot", "width": 1}, hovertemplate=hover, showlegend=not cut,
                legendgroup=line.name, opacity=0.8,
            )
        )  # fmt: skip
    if line.points:
        bars = None
        if all(point.low is not None and point.high is not None for point in line.points):
            bars = {
                "type": "data", "symmetric": False, "thickness": 1, "width": 4, "color": colour,
                "array": [(point.high or 0.0) - point.y for point in line.points],
                "arrayminus": [point.y - (point.low or 0.0) for point in line.points],
            }  # fmt: skip
        traces.append(
            go.Scatter(
                x=[point.x for point in line.points], y=[point.y for point in line.points], mode="markers",
                customdata=[point.text for point in line.points], name=line.name, error_y=bars,
                marker={
                    "symbol": symbol, "size": 9, "color": colours.background, "line": {"color": colour, "width": 2},
                },
                hovertemplate=hover, showlegend=False, legendgroup=line.name,
            )
        )  # fmt: skip
    return traces


def _draw_cells(chart: CellChart, colours: Palette) -> Figure:
    import numpy as np
    from plotly import graph_objects as go
    from plotly.subplots import make_subplots

    # Above the cells of each service there is a strip for what failed, where something did.
    strips = [len(row.failures) for row in chart.rows]
    heights = [height for strip in strips for height in ([0.07 * strip] if strip else []) + [1.0]]
    figure = make_subplots(
        rows=len(heights), cols=1, shared_xaxes=True, row_heights=heights,
        vertical_spacing=min(0.03, 0.3 / max(1, len(heights))),
    )  # fmt: skip
    scale = [[at / (len(colours.cells) - 1), colour] for at, colour in enumerate(colours.cells)]
    most = max((count for row in chart.rows for cells in row.counts for count in cells), default=1) or 1
    number = 0
    for row, strip in zip(chart.rows, strips, strict=True):
        if strip:
            number += 1
            _add_strip(figure, row.failures, chart.x_edges, number, row.name, colours)
        number += 1
        counts = np.array(row.counts, dtype=np.uint32)
        shades = np.sqrt(counts, dtype=np.float32)
        shades[counts == 0] = np.nan
        figure.add_trace(
            go.Heatmap(
                x=list(chart.x_edges), y=list(chart.y_edges), z=shades, customdata=counts,
                colorscale=scale, zmin=0, zmax=float(most) ** 0.5,
                showscale=number == len(heights), hoverongaps=False,
                colorbar=_colour_bar(most, colours),
                hovertemplate=_cell_hover(row.name, "%{y:,.3~g} ms"),
            ),
            row=number, col=1,
        )  # fmt: skip
        figure.update_yaxes(
            **{
                **_axis(chart.y, colours),
                "title": {"text": row.name, "standoff": 14, "font": {"size": 12, "color": colours.text}},
            },
            row=number,
            col=1,
        )
    for at in range(1, number + 1):
        last = at == number
        axis = _axis(chart.x, colours)
        figure.update_xaxes(**{**axis, "title": axis["title"] if last else None, "showgrid": False}, row=at, col=1)
        figure.update_xaxes(showticklabels=last, row=at, col=1)
    _add_marks(figure, chart.marks, chart.x, colours)
    height = 110 + sum(ROW_HEIGHT + 18 * strip for strip in strips)
    return _finish(figure, chart.title, chart.notes, colours, height)


def _add_strip(
    figure: Any,
    failures: Sequence[tuple[str, Sequence[int]]],
    edges: Sequence[float],
    number: int,
    name: str,
    colours: Palette,
) -> None:
    import numpy as np
    from plotly import graph_objects as go

    counts = np.array([row for _, row in failures], dtype=np.uint32)
    shades = np.sqrt(counts, dtype=np.float32)
    shades[counts == 0] = np.nan
    figure.add_trace(
        go.Heatmap(
            x=list(edges), y=[title for title, _ in failures], z=shades, customdata=counts,
            showscale=False, hoverongaps=False,
            colorscale=[[0, colours.failure], [1, colours.failure]], xgap=1, ygap=1,
            hovertemplate=_cell_hover(name, "%{y}"),
        ),
        row=number, col=1,
    )  # fmt: skip
    figure.update_yaxes(
        type="category", showgrid=False, tickfont={"color": colours.failure, "size": 11}, zeroline=False,
        row=number, col=1,
    )  # fmt: skip


def _cell_hover(name: str, what: str) -> str:
    return f"{name}<br>%{{x:.1f}} s<br>{what}<br>%{{customdata:,}} requests<extra></extra>"


def _colour_bar(most: int, colours: Palette) -> dict[str, Any]:
    counts = sorted({1, max(1, round(most / 16)), max(1, round(most / 4)), most})
    return {
        "title": {"text": "requests", "side": "top", "font": {"size": 11, "color": colours.quiet}},
        "lenmode": "pixels",
        "len": 200,
        "yanchor": "top",
        "y": 1.0,
        "tickvals": [count**0.5 for count in counts],
        "ticktext": [f"{count:,}" for count in counts],
        "thickness": 12,
        "outlinewidth": 0,
        "tickfont": {"color": colours.quiet, "size": 11},
    }


def _draw_bars(chart: BarChart, colours: Palette) -> Figure:
    from plotly import graph_objects as go

    figure = go.Figure()
    names = [bar.name for bar in chart.bars]
    for at, part in enumerate(chart.parts):
        figure.add_trace(
            go.Bar(
                x=[bar.values[at] for bar in chart.bars], y=names, name=part, orientation="h",
                marker={
                    "color": colours.parts[at % len(colours.parts)],
                    "line": {"color": colours.background, "width": 1},
                    "pattern": {
                        "shape": HATCHES[at % len(HATCHES)], "fillmode": "overlay", "fgcolor": colours.background,
                        "size": 6, "solidity": 0.2,
                    },
                },
                hovertemplate=f"%{{y}}<br>{part}<br>%{{x:,.3~g}} ms<extra></extra>",
            )
        )  # fmt: skip
    figure.update_xaxes(**_axis(chart.x, colours))
    figure.update_yaxes(autorange="reversed", color=colours.text, showgrid=False, automargin=True, ticks="")
    height = 150 + BAR_HEIGHT * len(names)
    figure = _finish(figure, chart.title, chart.notes, colours, height)
    return figure.update_layout(barmode="stack", bargap=0.3, legend_traceorder="normal")


def _axis(axis: Axis, colours: Palette) -> dict[str, Any]:
    from math import log10

    log = axis.scale == "log"
    return {
        "type": axis.scale,
        "title": {"text": axis.title, "font": {"size": 12, "color": colours.quiet}},
        "range": [log10(axis.low), log10(axis.high)] if log else [axis.low, axis.high],
        "tickvals": [at for at, _ in axis.ticks],
        "ticktext": [text for _, text in axis.ticks],
        "tickfont": {"color": colours.quiet, "size": 11},
        "gridcolor": colours.line,
        "linecolor": colours.axis,
        "zeroline": False,
        "showline": True,
        "automargin": True,
    }


def _add_marks(figure: Any, marks: Sequence[Mark], axis: Axis, colours: Palette) -> None:
    for at, mark in enumerate(marks):
        figure.add_vline(x=mark.at, line={"color": colours.text, "width": 1, "dash": "dash"})
        place = _place(axis, mark.at)
        anchor = "left" if place < 0.7 else "right"
        _add_word(
            figure, mark.text, place, 1.0, colours.text, xanchor=anchor, yanchor="top", yshift=-14 * (at % 4),
            bgcolor=colours.background, opacity=0.9,
        )  # fmt: skip


def _finish(figure: Any, title: str, notes: Sequence[str], colours: Palette, height: int) -> Any:
    below = "<br>".join(notes)
    figure.update_layout(
        template="none",
        title={
            "text": title,
            "font": {"size": 15, "color": colours.text},
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 12},
        },
        font={"family": FONT, "size": 12, "color": colours.text},
        paper_bgcolor=colours.background,
        plot_bgcolor=colours.background,
        hoverlabel={"bgcolor": colours.background, "font": {"color": colours.text}, "bordercolor": colours.axis},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "xanchor": "left", "x": 0, "font": {"size": 12}},
        margin={"l": 64, "r": 16, "t": 68, "b": 56 + 16 * len(notes)},
        height=height + 16 * len(notes),
        autosize=True,
    )
    if below:
        figure.add_annotation(
            text=below, xref="paper", yref="paper", x=0, y=0, yshift=-48, xanchor="left", yanchor="top", align="left",
            showarrow=False, font={"size": 11, "color": colours.quiet},
        )  # fmt: skip
    return figure
