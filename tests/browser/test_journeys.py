"""Whole ways through the product in a real JupyterLab: by clicks alone, by keys alone, back to an earlier revision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.browser.conftest import SCRIPT
from tests.browser.lab import Lab
from tests.browser.notebook import Notebook
from tests.polling import wait_for_value, wait_until

pytestmark = pytest.mark.slow

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "01-quickstart.ipynb"

OPEN = SCRIPT.format(gate="")

Make = Callable[..., Notebook]

FOCUSED = """() => {
    const element = document.activeElement;
    return element?.closest('.mld-Panel') ? (element.getAttribute('aria-label') || element.textContent).trim() : null;
}"""

# Nothing but a mouse: what is clicked is what a person sees.
RUN_BUTTON = ".jp-NotebookPanel-toolbar [data-command='notebook:run-cell-and-select-next']"


def click_through(made: Notebook, cells: int) -> None:
    """Clicks on the first cell, then on Run for each of so many cells, and waits until each has run."""
    made.page.locator(".jp-Notebook .jp-Cell").first.click()
    for index in range(cells):
        made.page.locator(RUN_BUTTON).click()
        wait_until(lambda index=index: not made.is_running(index), 120)  # type: ignore[misc]


def test_the_quickstart_by_clicks(lab: Lab, page: Any) -> None:
    """Its cells up to the entry script, then the form of %deploy, a test request, and the deletion."""
    document = nbformat.read(QUICKSTART, as_version=4)
    deploy = next(index for index, cell in enumerate(document.cells) if "= %deploy" in cell.source)
    document.cells[deploy].source = "%deploy --form"
    nbformat.write(document, lab.folder / "clicked.ipynb")
    made = Notebook(lab, page, "clicked.ipynb").open()
    click_through(made, deploy + 1)
    form = made.panel(deploy)
    form.get_by_role("heading", name="Deploy a model").wait_for()
    wait_until(lambda: form.get_by_label("Model", exact=True).first.input_value().startswith("diabetes:"))
    form.get_by_role("button", name="Deploy", exact=True).click()
    panel = made.panel(deploy)
    made.wait_for_state(panel, "live")
    panel.get_by_role("button", name="Fill with sample").click()
    panel.get_by_role("button", name="Send request").click()
    panel.get_by_text("200 OK").wait_for(timeout=60_000)
    wait_until(lambda: "progression" in panel.inner_text(), 60, panel.inner_text)
    panel.get_by_role("button", name="More actions").click()
    panel.get_by_role("menuitem", name="Delete…").click()
    panel.get_by_role("group", name="Delete the service").get_by_role("textbox").fill("diabetes")
    panel.get_by_role("button", name="Delete service").click()
    made.wait_for_state(panel, "deleted")
    assert not (lab.folder / "quickstart-run" / ".mldeploy" / "services" / "diabetes").exists()


def test_a_rollback_through_the_panel(notebook: Make) -> None:
    made = notebook(OPEN, "%deploy back --wait", OPEN.replace("* 3", "* 4"), "%update back --wait")
    for index in (1, 2, 3, 4):
        made.run(index)
    panel = made.panel(4)
    made.wait_for_state(panel, "live")
    wait_until(lambda: "Revision 2" in panel.inner_text() or "revision 2" in panel.inner_text())
    panel.get_by_role("tab", name="History").click()
    panel.get_by_role("button", name="Roll back", exact=True).click()
    question = panel.get_by_role("group", name="Roll back to revision 1")
    assert "Revision 2 serves until revision 1 is ready" in question.inner_text()
    question.get_by_role("button", name="Roll back to 1").click()
    wait_until(lambda: panel.get_by_role("row").filter(has_text="Serving").count() == 1
               and "Serving, revision 1 again" in panel.inner_text(), 60, panel.inner_text)  # fmt: skip
    made.wait_for_state(panel, "live")
    at = made.run_code("%score back {'value': 5}")
    wait_until(lambda: "15" in made.text(at))


def test_keys_alone_lead_from_a_cell_to_a_live_service_and_its_end(notebook: Make) -> None:
    """No mouse, and none of JupyterLab's keys for the notebook acts on it while the panel has the focus."""
    made = notebook(OPEN)
    made.run(1)
    keys = made.page.keyboard
    cells = "() => window.jupyterapp.shell.currentWidget.content.widgets.length"
    keys.press("Escape")
    keys.press("b")
    wait_for_value(lambda: made.page.evaluate(cells), 3)
    keys.press("Enter")
    made.page.wait_for_function("() => document.activeElement.closest('.jp-Notebook .cm-editor')")
    keys.type("%deploy typed")
    keys.press("Control+Enter")
    panel = made.panel(2)
    made.wait_for_state(panel, "live")
    panel.get_by_role("button", name="More actions").wait_for()
    panel.get_by_label("Request body as JSON").wait_for()
    assert made.page.evaluate(cells) == 3

    def tab_to(name: str, most: int = 40) -> None:
        seen = []
        for _ in range(most):
            keys.press("Tab")
            seen.append(made.page.evaluate(FOCUSED))
            if seen[-1] is not None and seen[-1].startswith(name):
                return
        raise AssertionError(f"{name} is not reached by Tab: {seen}")

    keys.press("Escape")
    tab_to("More actions")
    keys.press("d")
    keys.press("d")  # JupyterLab's key for deleting the cell
    keys.press("x")
    assert made.page.evaluate(cells) == 3
    keys.press("Enter")
    wait_until(lambda: made.page.evaluate(FOCUSED) not in (None, "More actions"))
    keys.press("ArrowDown")
    keys.press("ArrowUp")
    keys.press("Escape")
    wait_for_value(lambda: made.page.evaluate(FOCUSED), "More actions")
    tab_to("Request body as JSON")
    keys.press("Control+a")
    keys.type('{"value": 5}')
    keys.press("Control+Enter")
    panel.get_by_text("200 OK").wait_for(timeout=60_000)
    tab_list = panel.get_by_role("tab", name="Test")
    for _ in range(40):
        if tab_list.evaluate("(element) => element === document.activeElement"):
            break
        keys.press("Shift+Tab")
    keys.press("ArrowRight")
    wait_for_value(lambda: panel.get_by_role("tab", name="Logs").get_attribute("aria-selected"), "true")
    for _ in range(40):
        if made.page.evaluate(FOCUSED) == "More actions":
            break
        keys.press("Shift+Tab")
    keys.press("ArrowDown")
    wait_until(lambda: made.page.evaluate(FOCUSED) not in (None, "More actions"))
    keys.press("End")
    wait_for_value(lambda: made.page.evaluate(FOCUSED), "Delete…")
    keys.press("Enter")
    wait_for_value(lambda: made.page.evaluate("() => document.activeElement.tagName"), "INPUT")
    keys.type("typed")
    keys.press("Enter")
    made.wait_for_state(panel, "deleted")
    assert made.page.evaluate(cells) == 3
    keys.press("Control+s")  # those of the page still work
    wait_until(lambda: "%deploy typed" in made.path.read_text("utf-8"))
