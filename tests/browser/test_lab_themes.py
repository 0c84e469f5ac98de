"""Sidebar, panel and form in JupyterLab's own themes and at every width: what axe-core finds, and what is cut."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.gallery import RULES, install_axe
from tests.browser.lab import Lab
from tests.browser.lab_page import SCRIPT, LabPage, deploy, mldeploy
from tests.browser.test_gallery import CUT, SMALL
from tests.browser.test_themes import IS_SET, SET_THEME, THEMES
from tests.polling import wait_until

pytestmark = pytest.mark.slow

LONG = "customer-churn-gradient-boosting"  # as long as a name may be
TABS = ("Logs", "API", "Code", "History", "Settings", "Test")

# What JupyterLab has around them is not ours.
AXE = """async ([selector, rules]) => {
    const found = [];
    for (const place of document.querySelectorAll(selector)) {
        if (!place.checkVisibility()) continue;
        const { violations } = await axe.run(place, { runOnly: rules });
        found.push(...violations.flatMap(({ id, impact, nodes }) =>
            nodes.map((node) => `${id} (${impact}): ${node.target.join(' ')}: ${node.failureSummary}`)));
    }
    return found;
}"""

# What is wider than the sidebar, beside what is cut with a title.
OUTSIDE = """() => [...document.querySelectorAll('#mldeploy-sidebar *')].filter((element) => {
    const side = document.querySelector('#mldeploy-sidebar').getBoundingClientRect();
    const own = element.getBoundingClientRect();
    const excepted = element.closest('svg, .mld-VisuallyHidden, .mld-Menu-list, .mld-Mid, .mld-Cut') || !own.width;
    return !excepted && (own.right > side.right + 1 || own.left < side.left - 1);
}).map((element) => element.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def services(lab: Lab) -> None:
    """A live service and a failed one, one with a long name, and a model."""
    (lab.folder / "score.py").write_text(SCRIPT, "utf-8")
    (lab.folder / "broken.py").write_text(SCRIPT.replace('os.environ.get("BROKEN")', "True"), "utf-8")
    (lab.folder / "diabetes.pkl").write_bytes(b"model")
    mldeploy(lab, "model", "register", "-n", "diabetes", "-p", "diabetes.pkl")
    deploy(lab, "looked-at")
    deploy(lab, LONG)
    mldeploy(lab, "model", "deploy", "looked-broken", "--entry-script", "broken.py", wait=False)


@pytest.fixture
def themed(lab_page: LabPage, services: None) -> Iterator[LabPage]:
    """The page with axe-core in it; the theme is light afterwards."""
    lab_page.page.add_script_tag(path=str(install_axe()))
    yield lab_page
    lab_page.page.evaluate(SET_THEME, THEMES[0])


def drag_edge(page: Any, width: int) -> None:
    """Drags the sidebar's edge until it is that wide, or as JupyterLab lets it."""
    side = page.locator("#mldeploy-sidebar").bounding_box()
    page.mouse.move(side["x"] + side["width"] + 1, 500)
    page.mouse.down()
    page.mouse.move(side["x"] + width / 2, 500)
    page.mouse.move(side["x"] + width, 500)
    page.mouse.up()


def save_picture(page: Any, name: str) -> None:
    """Saves a picture to look at, when `MLDEPLOY_PICTURES` names a folder."""
    folder = os.environ.get("MLDEPLOY_PICTURES")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def test_every_theme_has_contrast(themed: LabPage) -> None:
    page, found = themed.page, []
    page.emulate_media(reduced_motion="reduce")  # else a button has the colour of the theme before, for 100 ms
    themed.show_sidebar()
    themed.wait_for_row("looked-at", "Live")
    themed.run("mldeploy:open-service", service="looked-broken")
    themed.panel("looked-broken").get_by_role("alert").wait_for()
    for theme in THEMES:
        page.evaluate(SET_THEME, theme)
        page.wait_for_function(IS_SET, arg=theme)

        def look(what: str, selector: str, theme: str = theme) -> None:
            found.extend(f"{theme}, {what}: {finding}" for finding in page.evaluate(AXE, [selector, RULES]))
            save_picture(page, f"{theme}-{what}".replace(" ", "-").lower())

        look("sidebar", "#mldeploy-sidebar")
        themed.row("looked-at").first.hover()
        look("hovered row", "#mldeploy-sidebar")
        themed.run("mldeploy:open-service", service="looked-broken")
        look("failed", ".mld-Widget")
        themed.run("mldeploy:open-service", service="looked-at")
        panel = themed.panel("looked-at")
        for name in TABS:
            tab = panel.get_by_role("tab", name=name)
            tab.click()
            wait_until(lambda tab=tab: tab.get_attribute("aria-selected") == "true")  # type: ignore[misc]
            look(f"panel {name}", ".mld-Widget")
        themed.run("mldeploy:deploy")
        page.get_by_role("form", name="Deploy a model").first.get_by_label("Service name").wait_for()
        look("form", ".mld-Widget")
        look("status", "#mldeploy-status")
    assert not found, "\n".join(sorted(set(found)))


@pytest.mark.parametrize("width", [480, 200])
def test_the_sidebar_fits_when_it_is_wide_and_when_it_is_narrow(themed: LabPage, width: int) -> None:
    page = themed.page
    themed.show_sidebar()
    themed.wait_for_row("looked-at", "Live")
    drag_edge(page, width)
    side = page.locator("#mldeploy-sidebar")
    # JupyterLab has a least width of its own.
    wait_until(lambda: side.bounding_box()["width"] > 450 if width == 480 else side.bounding_box()["width"] < 300)
    save_picture(page, f"sidebar-{width}")
    for name in ("looked-at", LONG):
        themed.row(name).first.hover()
        save_picture(page, f"sidebar-{width}-{name[:8]}")
        assert page.evaluate(OUTSIDE) == []
    assert (
        page.evaluate(SMALL.replace(".mld-Panel", "#mldeploy-sidebar").replace("element.closest('.state').id", "0"))
        == []
    )
    assert (
        page.evaluate(CUT.replace(".mld-Panel", "#mldeploy-sidebar").replace("element.closest('.state').id", "0")) == []
    )
    assert page.evaluate(AXE, ["#mldeploy-sidebar", RULES]) == []
    drag_edge(page, 280)
