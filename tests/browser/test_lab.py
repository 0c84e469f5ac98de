"""The JupyterLab extension in a real JupyterLab: it is where people look, and shows what others did."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core.records import DeploymentRecord
from mldeploy_jupyter.deployment import read_service_events
from tests.browser.lab import Lab
from tests.browser.lab_page import SCRIPT, LabPage, deploy, mldeploy
from tests.browser.notebook import make_notebook
from tests.integration.notebook.conftest import end_services
from tests.polling import wait_for_value, wait_until

pytestmark = pytest.mark.slow

# Wanted are 1 s from the moment that the command line has written a service's record until its row is there, and 2 s
# until its death is seen. A busy machine takes ten times as long; what it took is printed.
FOUND_SECONDS = 10.0
DEATH_SECONDS = 20.0
TRIES = 3  # the best of them counts: the machine may be busy with other things

SOURCES = "() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells.map((cell) => cell.source)"


def supervisor_pid(lab: Lab, name: str) -> int:
    """The process that keeps the service's port."""
    from mldeploy_jupyter import Webservice, Workspace
    from mldeploy_jupyter.deployment.services.status import query_status

    service = Webservice(Workspace.get(path=str(lab.folder)), name)
    return int(query_status(service.workspace.folder, service.record).endpoint.details["pid"])


def read_deployment(lab: Lab, name: str) -> DeploymentRecord:
    """The record of the service's last deployment."""
    from mldeploy_jupyter import Webservice, Workspace

    service = Webservice(Workspace.get(path=str(lab.folder)), name)
    record = service.workspace.folder.open_store().get_deployment(service.record.deployment_id)
    assert record is not None
    return record


def to_seconds(time: str) -> float:
    """A time of a record in seconds since 1970."""
    return datetime.fromisoformat(time).timestamp()


def best_of(tries: int, measure: Callable[[int], float]) -> float:
    return min(measure(index) for index in range(tries))


def test_it_is_in_the_sidebar_the_launcher_and_the_palette(lab_page: LabPage) -> None:
    page = lab_page.page
    plugins = page.evaluate(
        "() => window.jupyterapp.listPlugins().filter((id) => id.startsWith('mldeploy-jupyter:'))"
        ".filter((id) => !window.jupyterapp.isPluginActivated(id))"
    )
    assert plugins == []
    page.locator(".jp-SideBar.jp-mod-left .lm-TabBar-tab[data-id=mldeploy-sidebar]").wait_for()
    page.locator(".jp-LauncherCard").filter(has_text="Deploy a model").click()
    page.get_by_role("form", name="Deploy a model").wait_for()
    lab_page.run("apputils:activate-command-palette")
    page.keyboard.type("register a model")
    page.locator(".lm-CommandPalette-item").filter(has_text="Register a model…").first.click()
    page.get_by_role("form", name="Register a model").wait_for()


# Notes when a row first has each label, in seconds since 1970.
WATCH_ROWS = """() => {
    window.labels = {};
    const look = () => {
        for (const row of document.querySelectorAll('#mldeploy-sidebar [role=treeitem]'))
            window.labels[row.getAttribute('aria-label')] ??= Date.now() / 1000;
    };
    new MutationObserver(look).observe(document.querySelector('#mldeploy-sidebar'), {
        subtree: true, childList: true, attributes: true,
    });
}"""


def test_a_service_of_the_command_line_appears_and_its_death_is_seen(lab: Lab, lab_page: LabPage) -> None:
    """Its row is there a moment after its record was written, and says Live a moment after that was."""
    lab_page.show_sidebar()
    lab_page.page.evaluate(WATCH_ROWS)
    appeared: list[float] = []

    def appear(index: int) -> float:
        name = f"found-{index}"
        deploy(lab, name)
        lab_page.wait_for_row(name, "Live")
        labels: dict[str, float] = lab_page.page.evaluate("() => window.labels")
        seen = sorted(at for label, at in labels.items() if label.startswith(f"{name}, "))
        live = min(at for label, at in labels.items() if label.startswith(f"{name}, Live"))
        record = read_deployment(lab, name)
        appeared.append(seen[0] - to_seconds(record.created_time))
        return live - to_seconds(record.finished_time)

    def die(index: int) -> float:
        pid = supervisor_pid(lab, f"found-{index}")
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: "Live" not in lab_page.row(f"found-{index}").first.inner_text())
        return time.monotonic() - began

    found, died = best_of(TRIES, appear), best_of(TRIES, die)
    print(f"row after {min(appeared):.2f} s, live after {found:.2f} s, death seen after {died:.2f} s")
    assert min(appeared) < FOUND_SECONDS and found < FOUND_SECONDS and died < DEATH_SECONDS


def test_the_history_has_a_worker_that_was_replaced_and_when(lab: Lab, lab_page: LabPage) -> None:
    from mldeploy_jupyter import Webservice, Workspace
    from mldeploy_jupyter.deployment.services.status import query_status

    deploy(lab, "mended")
    lab_page.show_sidebar()
    lab_page.wait_for_row("mended", "Live")
    service = Webservice(Workspace.get(path=str(lab.folder)), "mended")
    os.kill(query_status(service.workspace.folder, service.record).details["workers"][0]["pid"], signal.SIGKILL)
    wait_until(lambda: read_service_events(service.workspace.folder, "mended"), 60)  # the sidebar's watch has seen it
    lab_page.run("mldeploy:open-service", service="mended", tab="history")
    panel = lab_page.panel("mended")
    panel.get_by_text("What happened while it was live").wait_for()
    panel.get_by_text("Worker replaced", exact=True).wait_for()
    panel.get_by_text("was replaced: ").wait_for()


def test_enter_opens_the_panel_and_a_reload_restores_it(lab_page: LabPage, churn: str) -> None:
    lab_page.show_sidebar()
    lab_page.wait_for_row(churn, "Live")
    lab_page.row(churn).focus()
    lab_page.page.keyboard.press("Enter")
    lab_page.panel(churn).get_by_role("tab", name="Test").wait_for()
    title = lab_page.tab(churn)
    wait_until(lambda: "Live" in (title.get_attribute("title") or ""))
    title.locator("svg[data-state=live]").wait_for()
    layout = """async () => {
        const { data } = await window.jupyterapp.serviceManager.workspaces.fetch('default');
        return JSON.stringify(data['layout-restorer:data'] ?? {}).includes('mldeploy-services:');
    }"""
    wait_until(lambda: lab_page.page.evaluate(layout))  # it is saved a moment later
    lab_page.reload()
    lab_page.panel(churn).wait_for()
    assert lab_page.tab(churn).count() == 1


def test_the_sidebar_needs_no_mouse(lab_page: LabPage, churn: str) -> None:
    page = lab_page.page
    lab_page.show_sidebar()
    lab_page.wait_for_row(churn, "Live")
    lab_page.run("filebrowser:activate")
    page.keyboard.press("Alt+Shift+S")
    page.wait_for_function("() => document.activeElement.closest('#mldeploy-sidebar')")
    lab_page.row(churn).focus()
    page.keyboard.press("Shift+F10")
    menu = page.get_by_role("menu").filter(has_text="Copy URI")
    menu.wait_for()
    menu.get_by_role("menuitem", name="Test").focus()
    page.keyboard.press("Enter")
    panel = lab_page.panel(churn)
    panel.wait_for()
    wait_for_value(lambda: panel.get_by_role("tab", name="Test").get_attribute("aria-selected"), "true")


def test_a_cell_that_gets_the_service_is_inserted(lab: Lab, lab_page: LabPage, churn: str) -> None:
    page = lab_page.page
    made = make_notebook(lab, page, "%load_ext mldeploy_jupyter", "'second'")
    made.run(0)
    lab_page.show_sidebar()
    lab_page.wait_for_row(churn, "Live")
    lab_page.row(churn).click(button="right")
    page.get_by_role("menuitem", name="Insert a cell").click()
    wait_until(lambda: len(page.evaluate(SOURCES)) == 3)
    assert "churn" in page.evaluate(SOURCES)[1]
    made.run(1)
    made.wait_for_state(made.panel(1), "live")


def test_a_row_that_is_dropped_in_a_notebook_becomes_a_cell(lab: Lab, lab_page: LabPage, churn: str) -> None:
    page = lab_page.page
    make_notebook(lab, page, "'first'", "'second'")
    lab_page.show_sidebar()
    lab_page.wait_for_row(churn, "Live")
    lab_page.row(churn).hover()
    page.mouse.down()
    box = page.locator(".jp-Notebook .jp-Cell").nth(1).bounding_box()
    for step in range(1, 11):  # a drag begins, and says where it is, with moves
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 40 + 5 * step)
        if step == 5:
            page.locator(".mld-Drag").wait_for()  # it begins once the row's code has come
    page.mouse.up()
    wait_until(lambda: len(page.evaluate(SOURCES)) == 3)
    assert [("churn" in source) for source in page.evaluate(SOURCES)].count(True) == 1


def test_a_model_file_is_registered_from_the_file_browser(lab: Lab, lab_page: LabPage, churn: str) -> None:
    page = lab_page.page
    (lab.folder / "price model.pkl").write_bytes(b"model")
    lab_page.run("filebrowser:refresh")
    lab_page.file("price model.pkl").click(button="right")
    lab_page.choose("Register as model")
    form = page.get_by_role("form", name="Register a model")
    form.wait_for()
    wait_until(lambda: form.locator("[data-field=name] input").input_value() == "price-model")
    form.get_by_role("button", name="Register", exact=True).click()
    page.get_by_text("price-model:1 is registered").wait_for()
    assert "price-model" in mldeploy(lab, "model", "list")
    lab_page.show_sidebar()
    lab_page.row("price-model").wait_for()


def test_the_context_menu_has_what_fits_the_file(lab: Lab, lab_page: LabPage) -> None:
    page = lab_page.page
    (lab.folder / "notes.txt").write_text("notes")
    (lab.folder / "package.json").write_text("{}")
    (lab.folder / "xgb_model.json").write_text("{}")
    (lab.folder / "mlflow").mkdir(exist_ok=True)
    (lab.folder / "mlflow" / "MLmodel").write_text("flavors: {}")
    (lab.folder / "empty").mkdir(exist_ok=True)
    lab_page.run("filebrowser:refresh")

    def entries(name: str) -> set[str]:
        lab_page.file(name).hover()
        lab_page.file(name).click(button="right")
        page.locator(".lm-Menu-item[data-type=command]:not(.lm-mod-hidden)").first.wait_for()
        found = page.locator(
            ".lm-Menu-item[data-type=command]:not(.lm-mod-hidden) .lm-Menu-itemLabel"
        ).all_inner_texts()
        page.keyboard.press("Escape")
        return {text for text in found if text in ("Register as model…", "Deploy as entry script…")}

    assert entries("score.py") == {"Deploy as entry script…"}
    assert entries("xgb_model.json") == {"Register as model…"}
    wait_for_value(lambda: entries("mlflow"), {"Register as model…"})  # a folder is read while the mouse is on it
    for name in ("notes.txt", "package.json", "empty"):
        assert entries(name) == set(), name


def test_a_script_of_the_file_browser_is_deployed(lab: Lab, lab_page: LabPage, churn: str) -> None:
    page = lab_page.page
    lab_page.file("score.py").click(button="right")
    lab_page.choose("Deploy as entry script")
    form = page.get_by_role("form", name="Deploy a model")
    form.locator("[data-field=name] input").fill("from-file")
    form.get_by_role("button", name="Deploy", exact=True).click()
    lab_page.panel("from-file").wait_for()
    wait_until(lambda: "live" in (lab_page.panel("from-file").get_attribute("aria-label") or ""), 60)
    assert "from-file" in mldeploy(lab, "service", "list")


def test_the_toolbar_of_a_notebook_opens_the_form(lab: Lab, lab_page: LabPage) -> None:
    make_notebook(lab, lab_page.page, "'first'")
    lab_page.page.locator(".jp-NotebookPanel-toolbar").get_by_text("Deploy…").click()
    lab_page.page.get_by_role("form", name="Deploy a model").wait_for()


def test_the_status_bar_counts_and_leads_to_the_sidebar(lab_page: LabPage, churn: str) -> None:
    item = lab_page.page.locator("#mldeploy-status")
    wait_until(lambda: re.search(r"\d+ live", item.inner_text()))
    item.get_by_role("button").first.click()
    lab_page.row(churn).wait_for()


def test_two_pages_show_the_same(lab: Lab, lab_page: LabPage, browser: Any) -> None:
    deploy(lab, "shared")
    lab_page.show_sidebar()
    page = browser.new_page()
    other = LabPage(lab, page).open("lab/workspaces/other")
    other.show_sidebar()
    for one in (lab_page, other):
        one.wait_for_row("shared", "Live")
    mldeploy(lab, "service", "stop", "shared")
    for one in (lab_page, other):
        one.wait_for_row("shared", "Stopped")
    mldeploy(lab, "service", "delete", "shared")
    for one in (lab_page, other):
        wait_until(lambda one=one: one.row("shared").count() == 0)
    page.close()


def test_a_server_that_is_restarted_is_found_again(lab: Lab, browser: Any, churn: str) -> None:
    page = browser.new_page()  # JupyterLab's own requests fail meanwhile, which is no fault here
    lab_page = LabPage(lab, page).open()
    lab_page.show_sidebar()
    lab_page.wait_for_row(churn, "Live")
    lab.close()
    lost = lab_page.sidebar.get_by_text("No answer from the Jupyter server since")
    lost.wait_for(timeout=60_000)
    assert lab_page.row(churn).count() == 1  # what was known stays
    lab.start()
    wait_until(lambda: not lost.count(), 60)
    lab_page.wait_for_row(churn, "Live")
    deploy(lab, "after-restart")
    lab_page.wait_for_row("after-restart", "Live")
    page.close()


def test_the_sidebar_says_how_to_enable_the_server_extension(page: Any, tmp_path: Path) -> None:
    lab = Lab(tmp_path, sys.executable, "--ServerApp.jpserver_extensions={'mldeploy_jupyter': False}")
    try:
        lab_page = LabPage(lab, page).open()
        lab_page.run("mldeploy:show-sidebar")
        lab_page.sidebar.get_by_text("The server extension of mldeploy is off").wait_for()
        lab_page.sidebar.get_by_text("jupyter server extension enable mldeploy_jupyter").first.wait_for()
    finally:
        page.goto("about:blank")  # JupyterLab's own requests fail without a server
        lab.close()


def test_without_the_server_extension_panels_in_notebooks_work(page: Any, tmp_path: Path) -> None:
    lab = Lab(tmp_path, sys.executable, "--MldeployApp.enabled=False")
    try:
        (lab.folder / "score.py").write_text(SCRIPT, "utf-8")
        made = make_notebook(lab, page, "%load_ext mldeploy_jupyter\n%deploy alone --entry-script score.py --wait")
        made.run(0)
        made.wait_for_state(made.panel(0), "live")
        lab_page = LabPage(lab, page)
        lab_page.run("mldeploy:show-sidebar")
        lab_page.sidebar.get_by_text("The server extension of mldeploy is off").wait_for()
        lab_page.sidebar.get_by_text("c.MldeployApp.enabled = False").first.wait_for()
        assert lab_page.sidebar.get_by_text("No services yet").count() == 0
        lab_page.run("filebrowser:activate")
        lab_page.file("score.py").click(button="right")
        page.locator(".lm-Menu-item[data-type=command]:not(.lm-mod-hidden)").first.wait_for()
        assert (
            page.locator(".lm-Menu-item[data-type=command]:not(.lm-mod-hidden)")
            .filter(has_text="Deploy as entry script")
            .count()
            == 0
        )
    finally:
        page.goto("about:blank")  # JupyterLab's own requests fail without a server
        lab.close()
        end_services(lab.folder)
