"""Notices of the JupyterLab extension: a deployment that has ended out of sight is told, once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.browser.lab import Lab
from tests.browser.lab_page import SAVE_SETTINGS, SCRIPT, LabPage, deploy, mldeploy
from tests.polling import wait_until

pytestmark = pytest.mark.slow


def notice(lab_page: LabPage, text: str) -> Any:
    return lab_page.page.locator(".Toastify__toast").filter(has_text=text)


# Keeps what every notice says: one goes after eight seconds.
KEEP_NOTICES = """() => {
    window.notices = new Set();
    const look = () => document.querySelectorAll('.Toastify__toast').forEach((one) => notices.add(one.textContent));
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


def test_a_notice_says_what_ended_out_of_sight(lab: Lab, lab_page: LabPage, tmp_path: Path) -> None:
    page, gate, second = lab_page.page, tmp_path / "gate", tmp_path / "second"
    page.evaluate(KEEP_NOTICES)
    lab_page.show_sidebar()
    deploy(lab, "unseen", "--no-wait", "--env", f"GATE={second}")
    deploy(lab, "seen", "--no-wait", "--env", f"GATE={gate}")
    lab_page.wait_for_row("unseen", "Deploying")
    lab_page.wait_for_row("seen", "Deploying")
    lab_page.run("mldeploy:open-service", service="seen")
    lab_page.panel("seen").wait_for()
    gate.touch()
    wait_until(lambda: "live" in (lab_page.panel("seen").get_attribute("aria-label") or ""))
    lab_page.wait_for_row("seen", "Live")  # so the list has heard of its end while its panel is in sight
    second.touch()
    notice(lab_page, "unseen is live").get_by_role("button", name="Open").click()
    lab_page.panel("unseen").wait_for()
    assert not [text for text in page.evaluate("() => [...notices]") if text.startswith("seen is live")]


def test_a_failure_out_of_sight_stays_until_it_is_closed(lab: Lab, lab_page: LabPage) -> None:
    lab_page.show_sidebar()
    script = lab.folder / "broken.py"
    script.write_text(SCRIPT.replace('os.environ.get("BROKEN")', "True"), "utf-8")
    mldeploy(lab, "model", "deploy", "broken", "--entry-script", "broken.py", wait=False)
    told = notice(lab_page, "broken failed")
    told.wait_for(timeout=60_000)
    told.get_by_role("button", name="Retry").wait_for()
    lab_page.wait_for_row("broken", "Failed")


def test_a_panel_of_the_same_name_elsewhere_does_not_stand_for_it(lab: Lab, lab_page: LabPage, tmp_path: Path) -> None:
    deploy(lab, "twin")
    lab_page.reload()  # what is live when a page is opened is not told of
    other = lab.folder / "other"
    other.mkdir()
    (other / "score.py").write_text(SCRIPT, "utf-8")
    mldeploy(lab, "workspace", "create", str(other))
    lab_page.show_sidebar()
    lab_page.row("twin").first.focus()
    lab_page.page.keyboard.press("Enter")
    lab_page.panel("twin").get_by_role("tab", name="Test").wait_for()
    mldeploy(lab, "model", "deploy", "twin", "--entry-script", str(other / "score.py"), "-w", str(other))
    try:
        notice(lab_page, "twin is live").wait_for(timeout=60_000)
    finally:
        mldeploy(lab, "service", "delete", "twin", "-w", str(other))


def test_a_panel_that_was_hidden_before_the_list_knew_is_told_of_once(
    lab: Lab, lab_page: LabPage, tmp_path: Path
) -> None:
    """The panel hears of the end at once, the list at its next look; between them the panel goes out of sight."""
    page, gate = lab_page.page, tmp_path / "gate"
    lab_page.show_sidebar()
    deploy(lab, "hidden", "--no-wait", "--env", f"GATE={gate}")
    lab_page.wait_for_row("hidden", "Deploying")
    asked: list[str] = []
    page.on("request", lambda request: "/api/stream" in request.url and asked.append(request.post_data or ""))
    page.evaluate(SAVE_SETTINGS, json.dumps({"poll": 3600}))
    try:
        wait_until(lambda: any('"pollSeconds":3600' in body for body in asked))
        lab_page.run("mldeploy:open-service", service="hidden")
        panel = lab_page.panel("hidden")
        panel.wait_for()
        mldeploy(lab, "model", "register", "-n", "seen-now", "-p", "score.py")
        lab_page.sidebar.get_by_role("button", name="Refresh").click()
        lab_page.row("seen-now").wait_for()  # the list has just looked, and looks again in an hour
        gate.touch()
        wait_until(lambda: "live" in (panel.get_attribute("aria-label") or ""))
        lab_page.run("launcher:create")
        page.evaluate(SAVE_SETTINGS, "{}")  # it looks at once
        notice(lab_page, "hidden is live").wait_for()
        lab_page.wait_for_row("hidden", "Live")
    finally:
        page.evaluate(SAVE_SETTINGS, "{}")
    deploy(lab, "after-it")
    lab_page.wait_for_row("after-it", "Live")
    assert notice(lab_page, "hidden is live").count() <= 1
