"""A run of the latency lab below the cell that measures: live during the run, then a figure that is saved.

During the run a page shows the panel's view of it, which reads the run's files; where nothing draws panels, a line
shows the progress. The figure is plotly's, with the same picture as HTML for pages that do not know plotly.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.notebook.session import Session, front_end, prompt_number

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices.latency.measure import LatencyRun
    from mldeploy_jupyter.latency.result import LatencyResult
    from mldeploy_jupyter.notebook.panels import Panels

TEXT_SECONDS = 1.0  # between two updates of the line, where no page draws the run

Bundle = dict[str, Any]
Publish = Callable[[Bundle, bool], Any]  # the MIME bundle, and whether it replaces the one shown before


def follow_run(session: Session, run: LatencyRun, limit: float | None = None) -> LatencyResult:
    """Waits for the run, shows it below the running cell, and returns its result. An interrupt ends the run.

    `limit` is a latency in milliseconds, a budget, that the figure shows. Raises as `LatencyRun.wait` does.
    """
    from IPython.display import display, update_display

    display_id = f"mldeploy-latency-{os.urandom(4).hex()}"
    panels = session.panels

    def publish(bundle: Bundle, again: bool) -> None:
        show: Any = update_display if again else display
        show(bundle, raw=True, display_id=display_id)

    view = RunView(run, publish, panels, display_id, live=front_end(session.shell) == "live", limit=limit)
    result = view.wait()
    session.latency_cells[result.id] = prompt_number(session.shell) or 0
    return result


class RunView:
    """Draws a run through `publish` until it has ended. `clock` is a monotonic clock in seconds."""

    def __init__(
        self,
        run: LatencyRun,
        publish: Publish,
        panels: Panels | None,
        display_id: str,
        *,
        live: bool,
        limit: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._publish, self._panels, self._display_id = run, publish, panels, display_id
        self._live, self._limit, self._clock = live, limit, clock
        self._drawn, self._drawn_at = "", float("-inf")

    def wait(self) -> LatencyResult:
        """Shows the run while it is in progress and the figure at its end. Returns the result."""
        if self._live:
            self._draw("Measuring…")
        try:
            result = self._run.wait(self._show_progress, keep_interrupted=True)
        except BaseException:
            if self._drawn:
                self._publish(text_bundle("The run ended early."), True)
            raise
        self._publish(figure_bundle(result, self._limit), bool(self._drawn))
        return result

    def _show_progress(self, text: str) -> None:
        if not self._live:
            return
        if self._panels is not None:
            self._panels.take_queued()
            if self._panels.is_drawn and self._run.saved is not None:
                return  # the page shows the run itself
        if self._clock() - self._drawn_at >= TEXT_SECONDS and text != self._drawn:
            self._draw(text)

    def _draw(self, text: str) -> None:
        bundle = text_bundle(text)
        if self._panels is not None and self._run.saved is not None and self._run.workspace is not None:
            subject = {
                "service": self._run.plan.services[0].name,
                "workspace": self._run.workspace.folder.id,
                "deployment": "",
                "latency": self._run.id,
            }
            bundle = self._panels.mark_run(bundle, subject, self._display_id)
        self._publish(bundle, bool(self._drawn))
        self._drawn, self._drawn_at = text, self._clock()


def text_bundle(text: str) -> Bundle:
    """One line."""
    return {"text/plain": text, "text/html": f'<p style="margin: 8px">{escape(text)}</p>\n'}


def figure_bundle(result: LatencyResult, limit: float | None = None) -> Bundle:
    """The picture of a run, its ramp or its spectrum: as a figure of plotly in the theme of the page, and as
    HTML with an SVG. `limit` is a latency in milliseconds that it shows.

    Of a run without a measured request, one line that says so.
    """
    from mldeploy_jupyter.latency.figures import make_svg
    from mldeploy_jupyter.latency.figures.plotly_drawing import PLOTLY_MIME

    if not result.rows():
        return text_bundle("Nothing was measured.")
    kind = "ramp" if result.plan.ramp is not None else "spectrum"
    names = ", ".join(service.name for service in result.plan.services)
    text = {"text/plain": f"<figure: {kind} of {names}>", "text/html": f"{make_svg(result, kind, budget=limit)}\n"}
    return {PLOTLY_MIME: json.loads(result.figure(kind, budget=limit).to_json()), **text}
