"""The pictures of a run: made of its samples as plain data, drawn with plotly or as an SVG of our own.

`make_figure` and `make_svg` do both for a result. Plotly is imported by the function that draws with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.latency.figures import plotly_drawing, svg_drawing
from mldeploy_jupyter.latency.figures.charts import Chart
from mldeploy_jupyter.latency.figures.ecdf import ecdf_chart
from mldeploy_jupyter.latency.figures.heatmap import heatmap_chart
from mldeploy_jupyter.latency.figures.measured import Measured
from mldeploy_jupyter.latency.figures.parts import parts_chart
from mldeploy_jupyter.latency.figures.ramp import ramp_chart
from mldeploy_jupyter.latency.figures.spectrum import spectrum_chart
from mldeploy_jupyter.latency.page_theme import is_dark

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from mldeploy_jupyter.latency.measured_run import MeasuredRun

__all__ = ["KINDS", "Chart", "Measured", "draw_figure", "draw_svg", "make_chart", "make_figure", "make_svg"]

KINDS: dict[str, Callable[[Measured], Chart]] = {
    "spectrum": spectrum_chart,
    "ecdf": ecdf_chart,
    "heatmap": heatmap_chart,
    "parts": parts_chart,
    "ramp": ramp_chart,
}


def make_chart(kind: str, measured: Measured) -> Chart:
    """The picture of that kind, one of `KINDS`, as plain data.

    Raises `UserErrorException` for another kind, and for a ramp of a run that had none.
    """
    make = KINDS.get(kind)
    if make is None:
        raise UserErrorException(
            f"there is no figure {kind!r}", why=f"known are {', '.join(KINDS)}", hint='pass kind="spectrum"'
        )
    if kind == "ramp" and measured.plan.ramp is None:
        raise UserErrorException(
            "this run has no ramp",
            why="it was measured at one rate",
            hint="measure one with ramp=[50, 100, 200], or --ramp 50:200:3",
        )
    return make(measured)


def draw_figure(kind: str, measured: Measured, dark: bool | None = None) -> Figure:
    """The picture as a figure of plotly, light or dark, by default as the page is. Raises as `make_chart`."""
    chart = make_chart(kind, measured)
    return plotly_drawing.draw(chart, is_dark(dark), svg_drawing.draw(chart))


def draw_svg(kind: str, measured: Measured, dark: bool | None = None) -> str:
    """The picture as SVG, without a script, on a light or a dark background. Raises as `make_chart`.

    Without `dark` its colours are those of the page that it stands in, in JupyterLab, and light elsewhere.
    """
    return svg_drawing.draw(make_chart(kind, measured), dark)


def make_figure(
    result: MeasuredRun, kind: str = "spectrum", *, dark: bool | None = None, budget: float | None = None
) -> Figure:
    """A picture of a run as a figure of plotly. `budget` is a limit in milliseconds to draw. Raises as `make_chart`."""
    return draw_figure(kind, Measured(result.counted, result.plan, result.marks, budget), dark)


def make_svg(
    result: MeasuredRun, kind: str = "spectrum", *, dark: bool | None = None, budget: float | None = None
) -> str:
    """The same as SVG; `dark` is as in `draw_svg`. Raises as `make_chart`."""
    return draw_svg(kind, Measured(result.counted, result.plan, result.marks, budget), dark)
