"""Every word that is drawn is in the catalogue, and JupyterLab's language packs reach all of them."""

from __future__ import annotations

import calendar
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.lab import Lab
from tests.browser.lab_page import LabPage, deploy
from tests.integration.notebook.conftest import end_services
from tests.polling import wait_until
from tests.unit.labextension.messages import WORD, messages

pytestmark = pytest.mark.slow

# Symbols of units, literals, names of languages and formats, and months, which the browser names.
SYMBOLS = {"s", "ms", "min", "h", "B", "kB", "MB", "GB", "TB", "true", "false", "JSON", "API", "Python", "curl"}
SYMBOLS |= {"DataFrame", *calendar.month_name[1:]}

# What can be read, by eyes or by a screen reader, without what hides it.
READ = """() => [...document.querySelectorAll('.state')].flatMap((state) => {
    const place = state.querySelector(':scope > div');
    const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
        const { parentElement, textContent } = walker.currentNode;
        if (!parentElement.closest('.mld-Code, .mld-Excerpt, .mld-Line')) found.push(textContent);
    }
    for (const element of place.querySelectorAll('*'))
        for (const name of ['title', 'aria-label', 'placeholder', 'alt', 'data-label'])
            if (element.hasAttribute(name)) found.push(element.getAttribute(name));
    return found.map((text) => [state.id, text]);
})"""

TOLD = """() => {
    const found = new Set();
    const add = (value) => {
        if (typeof value === 'string') found.add(value);
        else if (value && typeof value === 'object')
            for (const [key, one] of Object.entries(value)) found.add(key), add(one);
    };
    window.told.forEach(add);
    document.querySelectorAll('input').forEach(({ value }) => add(value));
    return [...found];
}"""


def narrow_parts(text: str) -> list[str]:
    """The parts of a text that are not in the made-up language, which has wide letters, and no symbols."""
    parts = [part.strip(" .?!…“”`'\"\n\xa0") for part in re.split(r"[\uff21-\uff5a]+|[\d,·→:;=()\[\]]+", text)]
    return [part for part in parts if WORD.search(part) and part not in SYMBOLS]


def test_nothing_is_drawn_that_is_not_in_the_catalogue(gallery: str, page: Any) -> None:
    page.goto(f"{gallery}?language=made-up")
    page.wait_for_selector("body[data-ready]")
    told = "\n".join(page.evaluate(TOLD)).lower()
    catalogue = {message.text for message in messages()}
    wrong = []
    for state, text in page.evaluate(READ):
        if state.startswith("sidebar-many"):
            continue
        if text in catalogue and text in narrow_parts(text):
            wrong.append(f"{state}: {text!r} is in the catalogue, and not translated")
        wrong += [f"{state}: {part!r} of {text!r}" for part in narrow_parts(text) if part.lower() not in told]
    assert not wrong, "\n".join(dict.fromkeys(wrong))


LOCALE = "eo"  # a language that JupyterLab knows by name and has no pack of


def widen(text: str) -> str:
    """The text in the made-up language, as `src/testing/made_up.ts` has it."""
    return re.sub(r"%\d|[A-Za-z]", lambda found: found[0] if found[0][0] == "%" else chr(ord(found[0]) + 0xFEE0), text)


def make_language_pack(folder: Path) -> None:
    """A language pack as JupyterLab finds it among installed packages, with every message of the catalogue."""
    name = f"jupyterlab_language_pack_{LOCALE}"
    texts: dict[str, Any] = {"": {"domain": "mldeploy_jupyter", "language": LOCALE, "plural_forms": PLURALS}}
    for text, plural, context in messages():
        key = f"{context}\x04{text}" if context else text
        texts[key] = [widen(text), widen(plural)] if plural else [widen(text)]
    place = folder / name / "locale" / LOCALE / "LC_MESSAGES"
    place.mkdir(parents=True)
    (place / "mldeploy_jupyter.json").write_text(json.dumps(texts), "utf-8")
    (folder / name / "__init__.py").touch()
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[jupyterlab.languagepack]\n{LOCALE} = {name}\n")


PLURALS = "nplurals=2; plural=(n != 1);"


@pytest.fixture
def foreign_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A JupyterLab whose language is that of the pack."""
    make_language_pack(tmp_path / "packages")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    lab = Lab(tmp_path, sys.executable)
    settings = tmp_path / "settings" / "@jupyterlab" / "translation-extension" / "plugin.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"locale": LOCALE}))
    try:
        yield lab
    finally:
        lab.close()
        end_services(lab.folder)


def test_a_language_pack_reaches_sidebar_panel_and_forms(foreign_lab: Lab, page: Any) -> None:
    deploy(foreign_lab, "churn")
    lab_page = LabPage(foreign_lab, page).open()
    lab_page.run("mldeploy:show-sidebar")
    sidebar = lab_page.sidebar
    sidebar.get_by_role("treeitem", name=f"churn, {widen('Live')}, {widen('Revision')} 1").wait_for()
    sidebar.get_by_role("treeitem", name=widen("This machine")).wait_for()
    sidebar.get_by_role("button", name=widen("Models"), exact=True).wait_for()
    lab_page.run("mldeploy:open-service", service="churn")
    panel = lab_page.panel("churn")
    for tab in ("Test", "Logs", "API", "Code", "History", "Settings"):
        panel.get_by_role("tab", name=widen(tab), exact=True).click()
    wait_until(lambda: widen("Live") in (lab_page.tab("churn").get_attribute("title") or ""))
    panel.get_by_role("button", name=widen("Update to revision %1").replace("%1", "2")).wait_for()
    lab_page.run("mldeploy:deploy")
    form = page.get_by_role("form", name=widen("Deploy a model"))
    form.get_by_text(widen("Entry script"), exact=True).wait_for()
    form.get_by_text(widen("This Python as it is")).wait_for(state="attached")
