"""Panel and form in JupyterLab's own themes: nothing that axe-core finds, contrast above all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import SCRIPT
from tests.browser.gallery import RULES, install_axe
from tests.browser.notebook import Notebook
from tests.polling import wait_until

pytestmark = pytest.mark.slow

Make = Callable[..., Notebook]

THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")

SET_THEME = """async (theme) => {
    await window.jupyterapp.commands.execute('apputils:change-theme', { theme });
}"""

IS_SET = "(theme) => document.body.dataset.jpThemeName === theme"

# The panels only: what JupyterLab has around them is not ours.
AXE = """async (rules) => {
    const found = [];
    for (const panel of document.querySelectorAll('.mld-Panel')) {
        const { violations } = await axe.run(panel, { runOnly: rules });
        found.push(...violations.flatMap(({ id, impact, nodes }) =>
            nodes.map((node) => `${id} (${impact}): ${node.target.join(' ')}: ${node.failureSummary}`)));
    }
    return found;
}"""

BROKEN = "%%entry_script broken.py --no-check\nimport nowhere\n\ndef init(): pass\ndef run(data): return data\n"


def test_every_theme_has_contrast(notebook: Make) -> None:
    """A live service with each of its tabs, a failed deployment, and a form."""
    made = notebook(
        SCRIPT.format(gate=""), "%deploy themes --wait", BROKEN, "%deploy themes-broken --script broken.py",
        "%deploy --form",
    )  # fmt: skip
    for index in range(1, 6):
        made.run(index)
    live = made.panel(2)
    made.wait_for_state(live, "live")
    made.wait_for_state(made.panel(4), "failed")
    made.panel(5).get_by_role("heading", name="Deploy a model").wait_for()
    live.get_by_role("button", name="Send request").click()
    live.locator("[data-tab=test] bdi").get_by_text(" ms").first.wait_for()
    made.page.add_script_tag(path=str(install_axe()))
    made.page.emulate_media(reduced_motion="reduce")  # else a button has the colour of the theme before, for 100 ms
    found = []
    for theme in THEMES:
        made.page.evaluate(SET_THEME, theme)
        made.page.wait_for_function(IS_SET, arg=theme)
        for name in ("Logs", "API", "Code", "History", "Settings", "Test"):
            tab = live.get_by_role("tab", name=name)
            tab.click()
            wait_until(lambda tab=tab: tab.get_attribute("aria-selected") == "true")  # type: ignore[misc]
            found += [f"{theme}, {name}: {finding}" for finding in made.page.evaluate(AXE, RULES)]
    made.page.evaluate(SET_THEME, THEMES[0])
    assert not found, "\n".join(sorted(set(found)))


def test_the_panel_takes_the_colours_of_the_theme(notebook: Make) -> None:
    made = notebook(SCRIPT.format(gate=""), "%deploy coloured --wait")
    made.run(1)
    made.run(2)
    made.wait_for_state(made.panel(2), "live")
    colour = "(element) => getComputedStyle(element).getPropertyValue('background-color')"
    seen: dict[str, Any] = {}
    for theme in THEMES[:2]:
        made.page.evaluate(SET_THEME, theme)
        made.page.wait_for_function(IS_SET, arg=theme)
        wait_until(lambda: made.panel(2).evaluate(colour) not in seen.values(), what=lambda: str(seen))
        seen[theme] = made.panel(2).evaluate(colour)
    made.page.evaluate(SET_THEME, THEMES[0])
