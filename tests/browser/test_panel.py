"""The panel in a real JupyterLab: it appears, follows, survives, and leaves nothing behind in the notebook."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import SCRIPT
from tests.browser.lab import Lab
from tests.browser.notebook import Notebook, make_notebook
from tests.polling import wait_until

pytestmark = pytest.mark.slow

OPEN = SCRIPT.format(gate="")

Make = Callable[..., Notebook]


def gated(folder: Path) -> tuple[str, Path]:
    gate = folder / "gate"
    return SCRIPT.format(gate=str(gate)), gate


def can_see(locator: Any) -> bool:
    return bool(locator.count() and locator.first.is_visible())


def test_the_panel_appears_while_the_cell_runs_and_goes_live(notebook: Make, tmp_path: Path) -> None:
    script, gate = gated(tmp_path)
    made = notebook(script, "%deploy appears --wait", "'next'")
    made.run(1)
    made.run(2, wait=False)
    made.wait_for_state(made.panel(2), "deploying")
    assert made.is_running(2)
    wait_until(lambda: not can_see(made.output(2).locator("table")))  # the saved HTML is hidden beside it
    gate.touch()
    made.wait_for_state(made.panel(2), "live")
    wait_until(lambda: not made.is_running(2))
    assert made.panel(2).count() == 1


def test_the_saved_notebook_has_text_and_html_but_no_widget_and_no_key(notebook: Make) -> None:
    made = notebook(OPEN, "%deploy saved --wait", "Webservice(ws, 'saved')", "%services saved")
    made.write(3, "from mldeploy_jupyter import Webservice, Workspace\nWebservice(Workspace.get(path='.'), 'saved')")
    before = len(json.dumps(made.save()))
    for index in (1, 2, 3, 4):
        made.run(index)
    for index in (2, 3, 4):
        made.wait_for_state(made.panel(index), "live")
    saved = made.save()
    text = json.dumps(saved)
    assert (len(text) - before) / 3 < 20_000
    assert "widgets" not in saved["metadata"] and "widget-view" not in text
    keys = made.lab.folder / ".mldeploy"
    for path in keys.rglob("keys.json"):
        for key in json.loads(path.read_text()).values():
            assert not isinstance(key, str) or len(key) < 20 or key not in text
    (shown,) = [output for output in saved["cells"][2]["outputs"] if output["output_type"] == "display_data"]
    assert "live on this machine" in "".join(shown["data"]["text/html"])
    assert "Live at http" in "".join(shown["data"]["text/plain"])


def test_a_reload_of_the_page_shows_the_panel_again(notebook: Make, tmp_path: Path) -> None:
    script, gate = gated(tmp_path)
    made = notebook(script, "%deploy reloaded")
    made.run(1)
    made.run(2)
    made.wait_for_state(made.panel(2), "deploying")
    made.save()
    made.reload()
    made.wait_for_state(made.panel(2), "deploying")
    gate.touch()
    made.wait_for_state(made.panel(2), "live")


def test_after_a_restart_of_the_kernel_services_shows_everything_again(notebook: Make, tmp_path: Path) -> None:
    script, gate = gated(tmp_path)
    made = notebook(script, "%deploy restarted", "%load_ext mldeploy_jupyter\n%services restarted")
    made.run(1)
    made.run(2)
    made.wait_for_state(made.panel(2), "deploying")
    made.restart_kernel()
    wait_until(lambda: "last known" in made.panel(2).first.get_attribute("aria-label"))
    made.run(3)
    made.wait_for_state(made.panel(3), "deploying")
    made.wait_for_state(made.panel(2), "deploying")  # the panel of the kernel before is connected to the new one
    wait_until(lambda: "loading the model" in made.panel(3).inner_text(), 60, made.panel(3).inner_text)
    gate.touch()
    for index in (2, 3):
        made.wait_for_state(made.panel(index), "live")


def test_a_notebook_that_is_opened_without_its_kernel_shows_what_was_saved(
    notebook: Make, lab: Lab, browser: Any
) -> None:
    made = notebook(OPEN, "%deploy later --wait")
    made.run(1)
    made.run(2)
    made.wait_for_state(made.panel(2), "live")
    made.save()
    made.shut_down_kernel()
    copy = lab.folder / "next-week.ipynb"
    copy.write_bytes(made.path.read_bytes())
    page = browser.new_page()
    later = Notebook(lab, page, copy.name).open()
    wait_until(lambda: "live on this machine" in later.text(2))
    assert later.panel().count() == 0
    page.close()


def test_an_update_of_the_saved_html_leaves_the_panel_as_it_is(notebook: Make, tmp_path: Path) -> None:
    """Lab draws an output again at each update: what was typed and where it was scrolled to stays."""
    script, gate = gated(tmp_path)
    made = notebook(script, "%deploy still")
    made.run(1)
    made.run(2)
    made.wait_for_state(made.panel(2), "deploying")
    made.page.evaluate(
        """() => {
            const root = document.querySelector('.mld-Root');
            root.querySelector('input').value = 'typed';
            root.querySelector('input').focus();
            window.seen = { root, missing: 0, frames: 0 };
            const watch = () => {
                window.seen.frames += 1;
                if (!root.isConnected || !root.offsetHeight) window.seen.missing += 1;
                requestAnimationFrame(watch);
            };
            requestAnimationFrame(watch);
        }"""
    )
    gate.touch()
    wait_until(lambda: "live on this machine" in made.output(2).locator("[data-mldeploy]").text_content())
    made.page.wait_for_function("() => window.seen.frames > 3")
    assert made.page.evaluate("() => [window.seen.missing, window.seen.root.isConnected]") == [0, True]


def test_a_cell_that_runs_again_has_one_panel(notebook: Make) -> None:
    made = notebook(OPEN, "%deploy again --wait")
    made.run(1)
    made.run(2)
    made.wait_for_state(made.panel(2), "live")
    made.run(2)
    made.wait_for_state(made.panel(2), "live")
    assert made.panel(2).count() == 1


def test_a_cell_that_is_moved_takes_its_panel_along(notebook: Make) -> None:
    made = notebook(OPEN, "%deploy moved --wait", "1")
    made.run(1)
    made.run(2)
    made.wait_for_state(made.panel(2), "live")
    made.page.evaluate("() => { window.root = document.querySelector('.mld-Root'); }")
    made.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.moveCell(2, 3)")
    made.wait_for_state(made.panel(3), "live")
    assert made.page.evaluate("() => window.root.isConnected")


def test_the_line_of_a_failure_is_one_click_away(notebook: Make) -> None:
    broken = OPEN.replace('    print("loading the model")\n', '    print("loading")\n    return nowhere\n')
    made = notebook(broken, "%deploy broken")
    made.run(1)
    made.run(2)
    made.wait_for_state(made.panel(2), "failed")
    made.panel(2).get_by_role("button", name="cell line").or_(
        made.panel(2).get_by_role("link", name="cell line")
    ).click()
    line = broken.splitlines().index("    return nowhere") + 1
    cursor = """() => {
        const { content } = window.jupyterapp.shell.currentWidget;
        return [content.activeCellIndex, content.activeCell.editor.getCursorPosition().line + 1, content.mode];
    }"""
    wait_until(lambda: made.page.evaluate(cursor) == [1, line, "edit"], 60, lambda: str(made.page.evaluate(cursor)))


def test_code_is_inserted_as_a_cell_below_the_panel(notebook: Make) -> None:
    made = notebook(OPEN, "%deploy inserted --wait", "'last'")
    made.run(1)
    made.run(2)
    made.wait_for_state(made.panel(2), "live")
    made.panel(2).get_by_role("tab", name="Code").click()
    made.panel(2).get_by_role("button", name="Insert as cell").first.click()
    sources = "() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells.map((cell) => cell.source)"
    wait_until(lambda: len(made.page.evaluate(sources)) == 5)
    assert "import requests" in made.page.evaluate(sources)[3]
    assert made.page.evaluate(sources)[4] == "'last'"


def test_two_notebooks_in_one_page_have_their_own_panels(notebook: Make, lab: Lab, page: Any) -> None:
    made = notebook(OPEN, "%deploy shared --wait")
    made.run(1)
    made.run(2)
    made.wait_for_state(made.panel(2), "live")
    other = make_notebook(lab, page, "%load_ext mldeploy_jupyter\n%services shared")
    other.run(0)
    other.wait_for_state(other.panel(0), "live")
    assert other.panel(0).count() == 1


def test_cancel_works_while_the_cell_waits(notebook: Make, tmp_path: Path) -> None:
    """By the panel's button, in every release of ipykernel: `python -m tests.browser.matrix` tries three."""
    script, _ = gated(tmp_path)
    made = notebook(script, "%deploy cancelled --wait", "'next'")
    made.run(1)
    made.run(2, wait=False)
    made.wait_for_state(made.panel(2), "deploying")
    made.run(3, wait=False)  # waits its turn, as all other messages to the kernel do
    assert made.is_running(2)
    made.panel(2).get_by_role("button", name="Cancel").click()
    made.wait_for_state(made.panel(2), "cancelled")
    wait_until(lambda: not made.is_running(2) and not made.is_running(3))


def test_all_cells_at_once_have_a_panel_that_works_then_and_later(
    lab: Lab, kernels: None, page: Any, tmp_path: Path
) -> None:
    """The comm is open before the widget can be imported, which takes it over once the cells have ended."""
    script, gate = gated(tmp_path)
    made = make_notebook(lab, page, "%load_ext mldeploy_jupyter", script, "%deploy at-once --wait")
    for index in range(3):
        made.run(index, wait=False)
    made.wait_for_state(made.panel(2), "deploying")
    wait_until(lambda: "loading the model" in made.panel(2).inner_text(), 60, made.panel(2).inner_text)
    assert made.is_running(2)
    made.panel(2).get_by_role("button", name="Cancel").click()
    made.wait_for_state(made.panel(2), "cancelled")
    wait_until(lambda: not made.is_running(2))
    gate.touch()
    made.panel(2).get_by_role("button", name="Deploy again").click()
    made.wait_for_state(made.panel(2), "live")


def test_a_page_that_is_loaded_again_before_the_widget_is_there_has_its_panel(
    lab: Lab, kernels: None, page: Any, tmp_path: Path
) -> None:
    """The connector's comm alone answers, as in the moment after the first %deploy."""
    wait = "from mldeploy_jupyter.notebook import panels\npanels.PREPARE_SECONDS = 3600\n%load_ext mldeploy_jupyter"
    script, gate = gated(tmp_path)
    gate.touch()
    made = make_notebook(lab, page, wait, script, "%deploy loaded-again", "import sys\n'ipywidgets' in sys.modules")
    made.run_all()
    made.wait_for_state(made.panel(2), "live")
    wait_until(lambda: made.text(3).endswith("False"), what=lambda: made.text(3))
    made.save()
    made.reload()
    made.wait_for_state(made.panel(2), "live")


def test_the_panel_answers_while_a_cell_waits(notebook: Make, tmp_path: Path) -> None:
    script, gate = gated(tmp_path)
    made = notebook(OPEN, "%deploy asked --wait", script, "%deploy asking --wait")
    made.run(1)
    made.run(2)
    made.wait_for_state(made.panel(2), "live")
    made.run(3)
    made.run(4, wait=False)
    made.wait_for_state(made.panel(4), "deploying")
    made.panel(2).get_by_role("tab", name="History").click()
    wait_until(lambda: made.panel(2).get_by_role("tabpanel").get_by_role("row").count() >= 2)
    assert made.is_running(4)
    gate.touch()
    made.wait_for_state(made.panel(4), "live")
