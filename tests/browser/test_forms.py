"""Forms in a real JupyterLab: filled in, corrected, inserted as a cell, sent; their place then shows the panel."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import SCRIPT
from tests.browser.lab import Lab
from tests.browser.notebook import Notebook
from tests.polling import wait_for_value, wait_until

Make = Callable[..., Notebook]

OPEN = SCRIPT.format(gate="")


@pytest.fixture(autouse=True)
def folder(lab: Lab) -> None:
    """A kernel per test starts without a script and a model."""
    (lab.folder / "score.py").unlink(missing_ok=True)
    (lab.folder / "model.txt").write_text("3")


def field(panel: Any, label: str) -> Any:
    return panel.get_by_label(label, exact=True).first


def saved_html(made: Notebook, index: int) -> str:
    """What the notebook, saved now, has as the first output of a cell."""
    return "".join(made.save()["cells"][index]["outputs"][0]["data"]["text/html"])


def sources(made: Notebook) -> list[str]:
    cells = "window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells"
    return list(made.page.evaluate(f"() => {cells}.map((cell) => cell.source)"))


def test_deploy_alone_shows_a_form_where_nothing_could_be_deployed(notebook: Make) -> None:
    made = notebook("%deploy", OPEN, "%deploy --form")
    made.run(1)
    form = made.panel(1)
    form.get_by_role("heading", name="Deploy a model").wait_for()
    made.run(2)
    made.run(3)
    form = made.panel(3)
    form.get_by_role("heading", name="Deploy a model").wait_for()
    option = form.get_by_label("Entry script", exact=True).first.locator("option").first
    wait_for_value(option.inner_text, "Cell 3: score.py, init() and run(data)")


def test_a_form_becomes_the_panel_of_what_it_deploys(notebook: Make) -> None:
    made = notebook(OPEN, "import mldeploy_jupyter\nmldeploy_jupyter.deploy_form()", "'last'")
    made.run(1)
    made.run(2)
    form = made.panel(2)
    form.get_by_role("heading", name="Deploy a model").wait_for()
    field(form, "Service name").fill("from-a-form")
    form.get_by_role("button", name="Deploy", exact=True).click()
    wait_until(lambda: "from-a-form, " in made.panel(2).get_attribute("aria-label"), 60, lambda: made.text(2)[-600:])
    made.wait_for_state(made.panel(2), "live")
    assert made.panel(2).count() == 1
    wait_until(lambda: "live on this machine" in saved_html(made, 2))  # the page hears of it first
    assert "widget" not in json.dumps(made.save()["metadata"])
    made.reload()
    made.wait_for_state(made.panel(2), "live")


# Loads the page again as soon as it has sent the form.
RELOAD_ONCE_SENT = """() => {
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (data) {
        send.call(this, data);
        const text = typeof data === 'string' ? data : new TextDecoder().decode(data);
        if (text.includes('form.submit')) location.reload();
    };
}"""


def test_a_page_that_is_loaded_again_before_the_answer_shows_what_the_form_began(notebook: Make) -> None:
    made = notebook(OPEN, "%deploy --form", "'last'")
    made.run(1)
    made.run(2)
    form = made.panel(2)
    field(form, "Service name").fill("sent-and-left")
    made.save()
    made.page.evaluate(RELOAD_ONCE_SENT)
    with made.page.expect_navigation(wait_until="load"):
        form.get_by_role("button", name="Deploy", exact=True).click()
    made.wait_for_kernel()
    made.wait_for_state(made.panel(2), "live")
    assert "sent-and-left, " in made.panel(2).get_attribute("aria-label")
    assert made.panel(2).count() == 1
    assert "not sent" not in saved_html(made, 2)


def test_a_saved_form_says_what_it_was_and_what_to_type(notebook: Make, lab: Lab, browser: Any) -> None:
    made = notebook("%deploy --form")
    made.run(1)
    made.panel(1).get_by_role("heading", name="Deploy a model").wait_for()
    wait_until(lambda: not made.output(1).get_by_text("It is shown while the kernel").is_visible())
    made.save()
    made.shut_down_kernel()
    copy = lab.folder / "saved-form.ipynb"
    copy.write_bytes(made.path.read_bytes())
    page = browser.new_page()
    later = Notebook(lab, page, copy.name).open()
    wait_until(lambda: "It is shown while the kernel" in later.text(1))
    assert "%deploy NAME -m MODEL --script FILE" in later.text(1)
    assert later.panel().count() == 0
    page.close()


def test_a_wrong_value_is_named_at_its_field_and_nothing_is_sent(notebook: Make) -> None:
    made = notebook(OPEN, "%deploy --form")
    made.run(1)
    made.run(2)
    form = made.panel(2)
    name = field(form, "Service name")
    name.fill("X")
    field(form, "Port").fill("70000")
    field(form, "Port").blur()
    wait_until(lambda: "must be between 0 and 65535" in form.inner_text())
    form.get_by_role("button", name="Deploy", exact=True).click()
    wait_until(lambda: name.get_attribute("aria-invalid") == "true")
    focused = "() => document.activeElement.closest('[data-field]')?.dataset.field"
    wait_until(lambda: made.page.evaluate(focused) == "name")
    wait_until(lambda: "3 to 32 characters" in form.inner_text())


def test_a_model_is_registered_on_the_spot(notebook: Make) -> None:
    made = notebook(OPEN, "%deploy --form")
    made.run(1)
    made.run(2)
    form = made.panel(2)
    field(form, "Service name").fill("with-model")
    form.get_by_role("button", name="Register…").click()
    nested = form.get_by_role("form", name="Register a model")
    field(nested, "File or folder").fill("model.txt")
    field(nested, "Model name").fill("on-the-spot")
    nested.get_by_role("button", name="Register", exact=True).click()
    wait_until(lambda: field(form, "Model").input_value().startswith("on-the-spot:"))
    wait_until(lambda: "on-the-spot:" in form.locator(".mld-Preview").first.inner_text())


def test_a_form_is_inserted_as_a_cell_that_does_the_same(notebook: Make) -> None:
    made = notebook(OPEN, "%deploy --form", "'last'")
    made.run(1)
    made.run(2)
    form = made.panel(2)
    field(form, "Service name").fill("from-a-cell")
    field(form, "Workers").fill("2")
    form.get_by_text("Magic", exact=True).click()
    wait_until(lambda: form.locator(".mld-Preview").inner_text().endswith("--worker-count 2"))
    assert "%deploy from-a-cell" in form.locator(".mld-Preview").inner_text()
    form.get_by_role("button", name="Insert as cell").click()
    wait_until(lambda: len(sources(made)) == 5)
    line = sources(made)[3]
    assert line.startswith("%deploy from-a-cell ") and line.endswith("--entry-script score.py --worker-count 2")
    made.run(3)
    made.wait_for_state(made.panel(3), "live")
    assert made.panel(2).get_by_role("heading", name="Deploy a model").count() == 1


def test_a_registered_model_is_deployed_from_the_same_place(notebook: Make) -> None:
    made = notebook(OPEN, "%register")
    made.run(1)
    made.run(2)
    form = made.panel(2)
    field(form, "File or folder").fill("model.txt")
    field(form, "Model name").fill("step-by-step")
    form.get_by_role("button", name="Register", exact=True).click()
    form.get_by_role("button", name="Deploy it…").click()
    wait_until(lambda: field(form, "Model").input_value().startswith("step-by-step:"))
    wait_for_value(field(form, "Service name").input_value, "step-by-step")
    form.get_by_role("button", name="Deploy", exact=True).click()
    made.wait_for_state(made.panel(2), "live")
    wait_until(lambda: "live on this machine" in saved_html(made, 2))


def test_the_form_of_an_update_becomes_its_panel(notebook: Make, tmp_path: Path) -> None:
    made = notebook(OPEN, "%deploy updated-by-form --wait", "%update updated-by-form --form")
    made.run(1)
    made.run(2)
    made.run(3)
    form = made.panel(3)
    field(form, "Workers").fill("2")
    form.get_by_role("button", name="Update to revision 2").click()
    # Revision 1 is live while the update continues, so that the panel may say so, too.
    wait_until(lambda: "live on this machine" in saved_html(made, 3), 60, lambda: saved_html(made, 3))
    wait_until(lambda: re.search(r"Revision\s+2", made.panel(3).inner_text()), 60, made.panel(3).inner_text)
    made.wait_for_state(made.panel(3), "live")
