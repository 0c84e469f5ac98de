"""Panels where our server extension, or JupyterLab itself, is missing: the widget's comm alone serves."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import anywidget
import pytest

from tests.browser.conftest import SCRIPT
from tests.browser.gallery import find_node, serve
from tests.browser.lab import TOKEN, Lab
from tests.browser.notebook import make_notebook
from tests.integration.notebook.conftest import end_services
from tests.polling import wait_until

pytestmark = pytest.mark.slow

# html-manager from npm is what such front ends build on; its bundle is too large to be a dependency.
HTML_MANAGER = "@jupyter-widgets/html-manager@1.0.15"
HTML_MANAGER_SHA512 = "5thBIV6ymNgmPVOHvzx+gGy8ZSKmSazhtGw4/c4xJDVzRhG9PTeQsRjF3FUTopvFi//SABeNz1yp47bCrJ3CQA=="

CORE = "jupyterlab"
EXTENSIONS = ("jupyter_lsp", "jupyter_server_terminals", "notebook", "notebook_shim", "mldeploy_jupyter", "nbclassic")


@pytest.fixture(scope="module")
def bare_lab(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Lab]:
    """A JupyterLab whose server has no extension but its own; other pages may speak to its kernels."""
    wanted = {name: name == CORE for name in (CORE, *EXTENSIONS)}
    lab = Lab(
        tmp_path_factory.mktemp("bare"), sys.executable, f"--ServerApp.jpserver_extensions={wanted}",
        "--ServerApp.allow_origin=*",
    )  # fmt: skip
    try:
        yield lab
    finally:
        lab.close()
        end_services(lab.folder)


@pytest.fixture(scope="module")
def plain_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page that has widgets and nothing of JupyterLab."""
    folder = tmp_path_factory.mktemp("plain")
    shutil.copy(Path(__file__).parent / "plain_page" / "index.html", folder)
    shutil.copy(Path(anywidget.__file__).parent / "nbextension" / "index.js", folder / "anywidget.js")
    node = find_node()
    subprocess.run([*node.npm, "pack", HTML_MANAGER, "--silent"], cwd=folder, env=node.environment, check=True)
    (packed,) = folder.glob("*.tgz")
    assert base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode() == HTML_MANAGER_SHA512
    with tarfile.open(packed) as archive, (folder / "libembed-amd.js").open("wb") as file:
        found = archive.extractfile("package/dist/libembed-amd.js")
        assert found is not None
        shutil.copyfileobj(found, file)
    with serve(folder) as address:
        yield address


def score(panel: Any) -> None:
    panel.get_by_label("Request body as JSON").fill('{"value": 2}')
    panel.get_by_role("button", name="Send request").click()
    panel.get_by_text("200 OK").wait_for(timeout=60_000)


def test_without_any_server_extension_the_panel_does_all_of_it(bare_lab: Lab, page: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    made = make_notebook(
        bare_lab, page, "%load_ext mldeploy_jupyter", SCRIPT.format(gate=str(gate)), "%deploy bare --wait",
        "%update bare --wait",
    )  # fmt: skip
    made.run(0)
    made.run(1)
    made.run(2, wait=False)
    made.wait_for_state(made.panel(2), "deploying")
    gate.touch()
    made.wait_for_state(made.panel(2), "live")
    wait_until(lambda: not made.is_running(2))
    panel = made.panel(2)
    score(panel)
    panel.get_by_role("tab", name="Logs").click()
    panel.get_by_role("log", name="Service log").get_by_text("loading the model").first.wait_for()
    gate.unlink()
    made.run(3, wait=False)
    made.wait_for_state(made.panel(3), "updating")
    made.panel(3).get_by_role("button", name="Cancel").click()
    made.wait_for_state(made.panel(3), "cancelled")
    wait_until(lambda: not made.is_running(3))


def test_a_front_end_whose_outputs_are_frames_has_the_panel_as_a_widgets_view(
    bare_lab: Lab, plain_page: str, page: Any, tmp_path: Path
) -> None:
    """As VS Code and Colab: without subshells, so that --wait has to answer the page itself."""
    gate = tmp_path / "gate"
    asked = Request(
        f"{bare_lab.url}/api/kernels", method="POST", headers={"Authorization": f"token {TOKEN}"}, data=b"{}"
    )
    with urlopen(asked, timeout=60) as answer:
        kernel = json.load(answer)["id"]
    page.goto(plain_page)
    page.wait_for_selector("body[data-ready]", state="attached")
    page.evaluate(
        "(address) => connect(address)",
        f"ws://127.0.0.1:{bare_lab.port}/api/kernels/{kernel}/channels?token={TOKEN}",
    )

    def run(code: str) -> None:
        assert page.evaluate("(code) => kernel.execute(code)", code) == "ok"

    run("__vsc_ipynb_file__ = 'x.ipynb'\n%load_ext mldeploy_jupyter")
    run(SCRIPT.format(gate=str(gate)))
    page.evaluate("(code) => void kernel.execute(code)", "%deploy framed --wait")
    panel = page.locator(".mld-Panel")
    wait_until(lambda: panel.count() == 1 and "deploying" in panel.get_attribute("aria-label"), 60)
    wait_until(lambda: "loading the model" in panel.inner_text(), 60)
    assert page.evaluate("() => kernel.running") == 1
    panel.get_by_role("button", name="Cancel").click()
    wait_until(lambda: "cancelled" in panel.get_attribute("aria-label"), 60)
    wait_until(lambda: page.evaluate("() => kernel.running") == 0, 60)

    gate.touch()
    run("%deploy framed-live --wait")
    live = page.locator(".mld-Panel").last
    wait_until(lambda: "framed-live, live" in live.get_attribute("aria-label"), 60)
    score(live)
    # Another cell blocks the kernel: the answer comes when it has ended, and nothing is lost.
    gate.unlink()
    run("%update framed-live")
    update = page.locator(".mld-Panel").last
    wait_until(lambda: "updating" in update.get_attribute("aria-label"), 60)
    stop = tmp_path / "stop"
    page.evaluate(
        "(code) => void kernel.execute(code)",
        f"import os, time\nwhile not os.path.exists({str(stop)!r}): time.sleep(0.05)",
    )
    wait_until(lambda: page.evaluate("() => kernel.running") == 1)
    update.get_by_role("button", name="Cancel").click()
    update.get_by_text("mldeploy service cancel framed-live").wait_for()  # what works meanwhile
    stop.touch()
    wait_until(lambda: "cancelled" in update.get_attribute("aria-label"), 60)
