"""One JupyterLab and one browser for all modules, a page for each test, and a picture of every test that failed.

A test's kernels end with it, and a module's services with that.

Without Chromium (`apt-get install chromium`) the tests are skipped, but in CI (`CI=true`) they fail.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.gallery import build_gallery, serve
from tests.browser.lab import Lab, find_chromium, open_browser
from tests.browser.lab_page import SCRIPT as PLAIN_SCRIPT
from tests.browser.lab_page import LabPage, deploy
from tests.browser.notebook import Notebook, make_notebook
from tests.integration.notebook.conftest import end_services

REASON = "Chromium is missing: apt-get install chromium, or name it: MLDEPLOY_CHROMIUM=/path/to/chromium"
PICTURES = Path(__file__).parents[2] / "build" / "browser"  # ignored by git

# The model is plain data: the tests are of the page, and a library's import would only cost time.
SCRIPT = """\
%%entry_script score.py --no-check
import json, os, time

def init():
    gate = os.environ.get("GATE") or {gate!r}
    print("loading the model")
    while gate and not os.path.exists(gate):
        time.sleep(0.02)

def run(data):
    return {{"answer": json.loads(data)["value"] * 3}}
"""

_REPORTS = pytest.StashKey[dict[str, pytest.TestReport]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    item.stash.setdefault(_REPORTS, {})[report.when] = report
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def session_lab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The JupyterLab of all modules."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        yield lab
    finally:
        lab.close()
        end_services(lab.folder)


@pytest.fixture(scope="module")
def lab(session_lab: Lab) -> Iterator[Lab]:
    """A running JupyterLab; the services that the module's notebooks leave are ended."""
    yield session_lab
    end_services(session_lab.folder)


@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser with a profile of its own, as a context of Playwright.

    It ends with this package: its event loop runs in the main thread, where no other test could run one.
    """
    if find_chromium() is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(REASON)
        pytest.skip(REASON)
    with open_browser(tmp_path_factory.mktemp("profile")) as context:
        yield context


@pytest.fixture(scope="package")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the gallery, which is built once."""
    folder = tmp_path_factory.mktemp("gallery")
    build_gallery(folder)
    with serve(folder) as address:
        yield address


@pytest.fixture
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A new page. Errors of its scripts fail the test; a failed test leaves a picture."""
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    report = request.node.stash.get(_REPORTS, {}).get("call")
    if report is not None and report.failed:
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{re.sub(r'[^A-Za-z0-9]+', '-', request.node.name).strip('-')}.png"
        page.screenshot(path=path)
        print(f"a picture of the page: {path}")
    page.close()
    assert not errors, errors


@pytest.fixture
def kernels(lab: Lab) -> Iterator[None]:
    """Ends the test's kernels, once its page is closed."""
    yield
    lab.end_kernels()


@pytest.fixture
def notebook(lab: Lab, kernels: None, page: Any) -> Callable[..., Notebook]:
    """Makes notebooks with the given cells; the magics are loaded by the first cell, which has run."""

    def make(*cells: str) -> Notebook:
        made = make_notebook(lab, page, "%load_ext mldeploy_jupyter", *cells)
        made.run(0)
        return made

    return make


@pytest.fixture
def lab_page(lab: Lab, kernels: None, page: Any) -> LabPage:
    """A page of JupyterLab with an empty layout, and a script beside its notebooks."""
    (lab.folder / "score.py").write_text(PLAIN_SCRIPT, "utf-8")
    return LabPage(lab, page).open()


@pytest.fixture(scope="module")
def churn(lab: Lab) -> str:
    """A service that lives as long as the tests of this module."""
    deploy(lab, "churn")
    return "churn"
