"""Settings of the JupyterLab extension act at once, and the filter finds what the command line has tagged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.browser.lab import Lab
from tests.browser.lab_page import SAVE_SETTINGS, LabPage, deploy
from tests.polling import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(lab_page: LabPage) -> Iterator[LabPage]:
    """The page; its settings are the defaults afterwards."""
    yield lab_page
    lab_page.page.evaluate(SAVE_SETTINGS, "{}")


def test_the_status_item_is_switched_off(settings: LabPage, churn: str) -> None:
    item = settings.page.locator("#mldeploy-status")
    wait_until(lambda: "live" in item.inner_text())
    settings.page.evaluate(SAVE_SETTINGS, json.dumps({"statusBar": False}))
    wait_until(lambda: item.inner_text().strip() == "")
    settings.reload()
    settings.show_sidebar()
    settings.wait_for_row(churn, "Live")
    wait_until(lambda: item.inner_text().strip() == "")


def test_groups_are_those_of_the_setting_at_once_and_after_a_reload(settings: LabPage, churn: str) -> None:
    settings.show_sidebar()
    settings.wait_for_row(churn, "Live")
    groups = settings.sidebar.locator("[data-kind=target], [data-kind=state]")
    wait_until(lambda: re.match("This machine", groups.first.inner_text()), 60, groups.first.inner_text)
    settings.page.evaluate(SAVE_SETTINGS, json.dumps({"groups": "state"}))
    settings.sidebar.locator("[data-kind=state]").filter(has_text="Live").first.wait_for()
    settings.page.evaluate(SAVE_SETTINGS, json.dumps({"groups": "none"}))
    wait_until(lambda: groups.count() == 0)
    settings.reload()
    settings.show_sidebar()
    settings.wait_for_row(churn, "Live")
    wait_until(lambda: groups.count() == 0)


def test_the_server_looks_as_often_as_the_setting_says(settings: LabPage, churn: str) -> None:
    page = settings.page
    bodies: list[str] = []
    page.on("request", lambda request: "/api/stream" in request.url and bodies.append(request.post_data or ""))
    settings.show_sidebar()
    settings.wait_for_row(churn, "Live")
    page.evaluate(SAVE_SETTINGS, json.dumps({"poll": 7.5}))
    wait_until(lambda: any('"pollSeconds":7.5' in body for body in bodies))


def test_the_filter_finds_services_by_their_tags(lab: Lab, lab_page: LabPage, churn: str) -> None:
    deploy(lab, "tagged", "--tag", "team=care")
    lab_page.show_sidebar()
    lab_page.wait_for_row("tagged", "Live")
    lab_page.wait_for_row(churn, "Live")
    lab_page.sidebar.get_by_label("Filter by name").fill("team=care")
    wait_until(lambda: lab_page.row(churn).count() == 0)
    assert lab_page.row("tagged").count() == 1
