"""The latency lab in a real JupyterLab: a run is begun and watched in the panel, and shown below its cell."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.lab import Lab
from tests.browser.lab_page import LabPage, deploy, mldeploy
from tests.browser.notebook import Notebook
from tests.integration.notebook.conftest import end_services
from tests.polling import wait_for_value, wait_until

pytestmark = pytest.mark.slow

SCRIPT = """\
import time
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("data", StandardPythonParameterType([1, 2]))
def run(data):
    time.sleep(0.002)
    return sum(data)
"""
PLOTLY = "application/vnd.plotly.v1+json"
LARGEST = 120_000  # characters that %latency adds to the notebook

Make = Callable[..., Notebook]

# Both at one moment: a run of six seconds may have ended by the next look.
CHART = """/^Latency by percentile\\. sums: p50 [\\d.]+ ms/.test(
    document.querySelector('.mld [role=img][aria-label^="Latency by percentile"]')?.getAttribute('aria-label') ?? '')"""
CHART_WHILE_IT_GOES_ON = f"() => {CHART} && document.querySelector('[role=progressbar][aria-label=Measured]')"
CHART_WHILE_THE_CELL_RUNS = f"""() => {CHART}
    && window.jupyterapp.shell.currentWidget.content.widgets[1].model.executionState !== 'idle'"""


@pytest.fixture(scope="module")
def sums(lab: Lab) -> Iterator[str]:
    """A service that lives as long as the tests of this module."""
    (lab.folder / "score.py").write_text(SCRIPT, "utf-8")
    deploy(lab, "sums")
    yield "sums"
    end_services(lab.folder)


def open_tab(panel: Any) -> Any:
    """The Latency tab of a panel, whose module is loaded now."""
    panel.get_by_role("tab", name="Latency").click()
    tab = panel.get_by_role("tabpanel", name="Latency")
    tab.get_by_role("button", name=re.compile("Run|Stop|Measure again")).first.wait_for()
    return tab


def begin(tab: Any, rate: int, seconds: int) -> None:
    again = tab.get_by_role("button", name="Measure again…")
    if again.count():
        again.click()
    tab.get_by_label("Rate", exact=True).fill(str(rate))
    tab.get_by_label("Duration").fill(str(seconds))
    tab.get_by_role("button", name="Run", exact=True).click()
    tab.get_by_role("button", name=re.compile("Stop|Measure again")).first.wait_for()  # a short run may have ended


def test_a_run_in_a_notebooks_panel(notebook: Make, sums: str) -> None:
    made = notebook(f"%services {sums}")
    made.run(1)
    made.wait_for_state(made.panel(1), "live")
    tab = open_tab(made.panel(1))
    begin(tab, 50, 6)
    chart = tab.get_by_role("img", name=re.compile(r"^Latency by percentile\. sums: p50 [\d.]+ ms"))
    made.page.wait_for_function(CHART_WHILE_IT_GOES_ON)
    chart.wait_for()
    tab.get_by_role("button", name="Measure again…").wait_for(timeout=60_000)
    row = tab.get_by_role("row", name=re.compile("^sums "))
    wait_for_value(lambda: row.get_by_role("cell").all_inner_texts()[:2], ["300", "0"])
    tab.get_by_role("img", name=re.compile("^Latency over time of sums: 300 answered requests")).wait_for()
    tab.get_by_text("p99 needs 1,000 requests, 20 s at 50/s; there are 300.").wait_for()
    tab.get_by_role("button", name="Open as plotly").click()
    sources = "() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells.map((cell) => cell.source)"
    wait_until(lambda: len(made.page.evaluate(sources)) == 3)
    made.run(2)
    made.output(2).locator(".js-plotly-plot .main-svg").first.wait_for()


def test_closing_the_page_stops_nothing_and_the_run_is_stopped_from_another(
    lab: Lab, kernels: None, page: Any, browser: Any, sums: str
) -> None:
    first = LabPage(lab, page).open()
    first.run("mldeploy:open-service", service=sums)
    begin(open_tab(first.panel(sums)), 20, 120)
    other_page = browser.new_page()
    try:
        page.goto("about:blank")
        other = LabPage(lab, other_page).open()
        other.run("mldeploy:open-service", service=sums)
        tab = open_tab(other.panel(sums))
        tab.get_by_role("img", name=re.compile(r"sums: p50 [\d.]+ ms")).wait_for()
        assert '"reason": "running"' in mldeploy(lab, "latency", "list", "--json")
        tab.get_by_role("button", name="Stop").click()
        tab.get_by_text("It was stopped before its end").wait_for()
    finally:
        other_page.close()


def test_below_the_cell_it_is_live_and_leaves_a_figure_and_a_table(notebook: Make, sums: str) -> None:
    made = notebook(f"result = %latency {sums} --rate 50 --duration 6\nresult")
    before = len(json.dumps(made.save()))
    made.run(1, wait=False)
    live = made.page.get_by_role("region", name=f"Latency of {sums}")
    made.page.wait_for_function(CHART_WHILE_THE_CELL_RUNS)
    wait_until(lambda: not made.is_running(1), 60)
    made.output(1).locator(".js-plotly-plot .main-svg").first.wait_for()
    wait_until(lambda: live.count() == 0)
    assert "sums" in made.output(1).locator("table").inner_text()
    saved = made.save()
    text = json.dumps(saved)
    assert len(text) - before < LARGEST and "widget-view" not in text
    figure, table = [output["data"] for output in saved["cells"][1]["outputs"] if "data" in output]
    assert PLOTLY in figure and "<svg" in "".join(figure["text/html"]) and "<table" in "".join(table["text/html"])


def test_an_update_in_the_middle_shows_both_revisions_apart(lab: Lab, kernels: None, page: Any, sums: str) -> None:
    shown = LabPage(lab, page).open()
    shown.run("mldeploy:open-service", service=sums)
    tab = open_tab(shown.panel(sums))
    begin(tab, 50, 90)
    tab.get_by_role("img", name=re.compile(r"sums: p50 [\d.]+ ms")).wait_for()
    (lab.folder / "score.py").write_text(SCRIPT.replace("0.002", "0.01"), "utf-8")
    mldeploy(lab, "service", "update", sums, "--entry-script", "score.py")
    chart = tab.get_by_role("img", name=re.compile(r"revision \d+: p50 [\d.]+ ms.*revision \d+: p50 [\d.]+ ms"))
    chart.wait_for(timeout=60_000)
    tab.get_by_role("button", name="Stop").click()
    tab.get_by_text(re.compile("It was stopped")).wait_for()
    heatmap = tab.get_by_role("img", name=re.compile(r"^Latency over time of sums: .*, revision \d+ at \d+ s"))
    heatmap.wait_for()
