"""A run below its cell: what is drawn while it is in progress, and what is left in the saved notebook."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import nbformat
import numpy as np
import pytest

from mldeploy_jupyter.latency.figures.plotly_drawing import PLOTLY_MIME
from mldeploy_jupyter.latency.measuring import Ending
from mldeploy_jupyter.latency.page_theme import set_page_theme
from mldeploy_jupyter.latency.plan import LatencyPlan, PlannedService
from mldeploy_jupyter.latency.result import LatencyResult
from mldeploy_jupyter.notebook.latency.run_view import RunView, figure_bundle
from tests.unit.latency.figures.runs import make_samples, ramp, three_services

PLAN = LatencyPlan((PlannedService("churn", "http://127.0.0.1:9000/score"),), rate=100.0, duration=3.0)
LARGEST = 1_000_000  # bytes of a notebook with a run of ten minutes
LARGEST_FIGURE = 200_000


def result_of(samples: Any, plan: LatencyPlan = PLAN) -> LatencyResult:
    ending = Ending("finished", "2026-11-27T03:00:00+00:00", "2026-11-27T03:10:00+00:00", 600.0)
    return LatencyResult("20261127T030000-a1b2c3", plan, ending, lambda: samples)


def steady(count: int = 300, rate: float = 100.0) -> Any:
    at = np.arange(count) / rate
    return make_samples(at, np.random.default_rng(4).gamma(6.0, 0.5, count), block=at.astype(int))


class Run:
    """A run that tells of its progress three times, a second apart."""

    def __init__(self, clock: list[float], *, kept: bool = True, fails: bool = False) -> None:
        self.id, self.plan, self.saved = "20261127T030000-a1b2c3", PLAN, object() if kept else None
        self.workspace = SimpleNamespace(folder=SimpleNamespace(id="w"))
        self._clock, self._fails = clock, fails

    def wait(self, show: Any, *, keep_interrupted: bool) -> LatencyResult:
        assert keep_interrupted
        for number in range(1, 4):
            self._clock[0] += 0.6
            show(f"{number} s of 3 s")
        if self._fails:
            raise RuntimeError("the load's own process ended")
        return result_of(steady())


class Panels:
    """As far as a view uses them: whether a page draws, and what was marked."""

    def __init__(self, drawn: bool) -> None:
        self.is_drawn, self.taken, self.marked = drawn, 0, list[dict[str, str]]()

    def take_queued(self) -> None:
        self.taken += 1

    def mark_run(self, bundle: dict[str, Any], subject: dict[str, str], display_id: str) -> dict[str, Any]:
        self.marked.append(subject)
        return bundle


def show(panels: Panels | None = None, *, live: bool = True, **run: Any) -> list[tuple[dict[str, Any], bool]]:
    published: list[tuple[dict[str, Any], bool]] = []
    clock = [0.0]
    view = RunView(
        Run(clock, **run),  # type: ignore[arg-type]
        lambda bundle, again: published.append((bundle, again)),
        panels,  # type: ignore[arg-type]
        "d-1",
        live=live,
        clock=lambda: clock[0],
    )
    view.wait()
    return published


def test_a_page_that_draws_panels_is_told_which_run_it_is_and_then_gets_the_figure() -> None:
    panels = Panels(drawn=True)
    set_page_theme(True)
    try:
        (first, again), (last, replaces) = show(panels)
    finally:
        set_page_theme(False)
    assert first["text/plain"] == "Measuring…" and (again, replaces) == (False, True)
    subject = {"service": "churn", "workspace": "w", "deployment": "", "latency": "20261127T030000-a1b2c3"}
    assert panels.marked == [subject] and panels.taken == 3  # clicks are taken while the cell runs
    assert last[PLOTLY_MIME]["layout"]["paper_bgcolor"] == "#111111"  # the theme of the page


def test_without_a_page_a_line_says_how_far_it_is_once_a_second() -> None:
    texts = [bundle["text/plain"] for bundle, _ in show(Panels(drawn=False))]
    assert texts == ["Measuring…", "2 s of 3 s", "<figure: spectrum of churn>"]
    assert len(show(None)) == 3


def test_a_run_that_is_not_kept_is_no_panels() -> None:
    panels = Panels(drawn=True)
    assert len(show(panels, kept=False)) == 3
    assert panels.marked == []


def test_a_program_that_runs_the_notebook_gets_the_figure_alone() -> None:
    ((bundle, again),) = show(live=False)
    assert not again and PLOTLY_MIME in bundle and "<svg" in bundle["text/html"]


def test_a_run_that_ends_early_leaves_no_panel_that_waits() -> None:
    published: list[dict[str, Any]] = []
    run: Any = Run([0.0], fails=True)
    with pytest.raises(RuntimeError):
        RunView(run, lambda bundle, again: published.append(bundle), None, "d-1", live=True).wait()
    assert published[-1]["text/plain"] == "The run ended early."


def test_a_budget_is_a_line_in_the_figure() -> None:
    bundle = figure_bundle(result_of(steady()), 50.0)
    assert "budget 50.0 ms" in bundle["text/html"] and "budget 50.0 ms" in json.dumps(bundle[PLOTLY_MIME])
    assert "budget" not in figure_bundle(result_of(steady()))["text/html"]


def test_nothing_measured_is_said() -> None:
    assert figure_bundle(result_of(steady(0)))["text/plain"] == "Nothing was measured."


def test_a_ramp_leaves_its_own_figure() -> None:
    measured = ramp()
    bundle = figure_bundle(result_of(measured.samples, measured.plan))
    assert bundle["text/plain"] == "<figure: ramp of diabetes>"


def test_a_notebook_with_a_run_of_ten_minutes_is_small() -> None:
    """Three services at 100 requests a second for ten minutes each: 180,000 requests."""
    measured = three_services(60_000)
    result = result_of(measured.samples, measured.plan)
    bundle = figure_bundle(result)
    assert len(json.dumps(bundle)) < LARGEST_FIGURE
    notebook = nbformat.v4.new_notebook()
    heatmap = {PLOTLY_MIME: json.loads(result.figure("heatmap").to_json())}
    table = {"text/plain": str(result), "text/html": result.to_html()}
    outputs = [nbformat.v4.new_output("display_data", data=data) for data in (bundle, heatmap, table)]
    notebook.cells.append(nbformat.v4.new_code_cell("%latency a b c", outputs=outputs))
    nbformat.validate(notebook)
    assert len(nbformat.writes(notebook)) < LARGEST / 2
