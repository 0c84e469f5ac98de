"""The extension in Notebook 7: the same sidebar, panels below the notebook. Needs `pip install notebook`."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.lab import TOKEN, Lab
from tests.browser.lab_page import LabPage, deploy
from tests.browser.notebook import SECONDS
from tests.integration.notebook.conftest import end_services
from tests.polling import wait_until

# In CI (`CI=true`) they are not skipped, but fail.
MAY_SKIP = os.environ.get("CI", "").lower() != "true"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(MAY_SKIP and importlib.util.find_spec("notebook") is None, reason="pip install notebook"),
]


@pytest.fixture(scope="module")
def notebook7(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("notebook7"), sys.executable, application="notebook")
    try:
        deploy(lab, "churn")
        yield lab
    finally:
        lab.close()
        end_services(lab.folder)


@pytest.fixture
def shown(notebook7: Lab, browser: Any) -> Iterator[LabPage]:
    """The page with the list of files. Its own errors are none of ours: Notebook 7.6 has one without the extension."""
    page = browser.new_page()
    page.goto(f"{notebook7.url}/tree?token={TOKEN}")
    page.wait_for_function("() => window.jupyterapp?.started", timeout=SECONDS * 1000)
    page.evaluate("async () => { await window.jupyterapp.started; }")
    yield LabPage(notebook7, page)
    page.close()


def test_the_sidebar_and_a_panel(shown: LabPage) -> None:
    shown.show_sidebar()
    assert shown.sidebar.is_visible()
    shown.wait_for_row("churn", "Live")
    shown.row("churn").focus()
    shown.page.keyboard.press("Enter")
    panel = shown.page.locator(".mld-Panel[aria-label^='churn, ']")
    panel.get_by_role("tab", name="Test").wait_for()
    height = shown.page.evaluate("() => innerHeight")
    wait_until(lambda: panel.bounding_box()["y"] < height * 0.8)


def test_a_file_is_registered_or_deployed(shown: LabPage) -> None:
    shown.file("score.py").click(button="right")
    shown.choose("Deploy as entry script")
    shown.page.get_by_role("form", name="Deploy a model").wait_for()
