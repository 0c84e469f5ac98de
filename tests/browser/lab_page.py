"""A page of JupyterLab with the extension: its sidebar, its tabs, its commands."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

from tests.browser.lab import TOKEN, Lab
from tests.polling import wait_until

# A model of plain data, without any library; GATE names a file that init() waits for.
SCRIPT = """\
import json, os, time

def init():
    gate = os.environ.get("GATE")
    print("loading the model")
    while gate and not os.path.exists(gate):
        time.sleep(0.02)
    if os.environ.get("BROKEN"):
        raise ValueError("the model is broken")

def run(data):
    return {"answer": json.loads(data)["value"] * 3}
"""


# Saves settings of the extension, which are JSON, as JupyterLab's settings editor does: through its registry.
SAVE_SETTINGS = """async (raw) => {
    const { jupyterapp } = window;
    const tokens = [...jupyterapp.pluginRegistry._services.keys()];
    const token = tokens.find(({ name }) => name === '@jupyterlab/coreutils:ISettingRegistry');
    await (await jupyterapp.resolveRequiredService(token)).upload('mldeploy-jupyter:plugin', raw);
}"""


class LabPage:
    """JupyterLab in `page`, a page of Playwright."""

    def __init__(self, lab: Lab, page: Any) -> None:
        self.lab, self.page = lab, page

    def open(self, path: str = "lab", reset: bool = True) -> LabPage:
        """Opens JupyterLab with an empty layout."""
        self.page.goto(f"{self.lab.url}/{path}?token={TOKEN}{'&reset' if reset else ''}")
        return self.wait()

    def reload(self) -> LabPage:
        """Loads the page again, with its layout."""
        self.page.goto(f"{self.lab.url}/lab?token={TOKEN}")
        return self.wait()

    def wait(self) -> LabPage:
        """Waits until JupyterLab has started."""
        self.page.wait_for_function("() => window.jupyterapp?.started", timeout=90_000)
        self.page.evaluate("async () => { await window.jupyterapp.started; await window.jupyterapp.restored; }")
        return self

    def run(self, command: str, **arguments: Any) -> None:
        """Runs one of JupyterLab's commands."""
        self.page.evaluate(
            "async ([command, args]) => { await window.jupyterapp.commands.execute(command, args); }",
            [command, arguments],
        )

    @property
    def sidebar(self) -> Any:
        """The sidebar with services and models."""
        return self.page.locator("#mldeploy-sidebar")

    def show_sidebar(self) -> Any:
        self.run("mldeploy:show-sidebar")
        self.sidebar.get_by_role("tree", name="Services").or_(self.sidebar.get_by_text("No services yet")).wait_for()
        return self.sidebar

    def row(self, name: str) -> Any:
        """The row of a service or a model."""
        return self.sidebar.get_by_role("treeitem", name=re.compile(rf"^{re.escape(name)}, "))

    def wait_for_row(self, name: str, word: str, seconds: float = 60) -> None:
        """Waits until the service's row has this word, such as `Live`."""

        def said() -> str:
            row = self.row(name)
            return str(row.first.get_attribute("aria-label") or row.first.inner_text()) if row.count() else "nothing"

        wait_until(lambda: word in said(), seconds, lambda: f"{word} of {name}: it is {said()}")

    def tab(self, name: str) -> Any:
        """The tab of the main area with this title."""
        return self.page.locator("#jp-main-dock-panel .lm-TabBar-tab").filter(has_text=name)

    def panel(self, name: str) -> Any:
        """The panel of a service in the main area."""
        return self.page.locator(f"#jp-main-dock-panel .mld-Panel[aria-label^='{name}, ']")

    def file(self, name: str) -> Any:
        """A row of the file browser."""
        return self.page.locator(".jp-DirListing-item").filter(has_text=name)

    def choose(self, label: str) -> None:
        """Chooses an entry of the menu that is open."""
        self.page.locator(".lm-Menu-item[data-type=command]:not(.lm-mod-hidden)").filter(has_text=label).click()


def mldeploy(lab: Lab, *words: str, wait: bool = True) -> str:
    """What the command line prints, run in the folder of the notebooks."""
    done = subprocess.run(
        [sys.executable, "-m", "mldeploy_jupyter.cli", *words],
        cwd=lab.folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0 or not wait, done.stderr
    return done.stdout


def deploy(lab: Lab, name: str, *words: str) -> None:
    """Makes a service with the command line."""
    script = lab.folder / "score.py"
    if not script.exists():
        script.write_text(SCRIPT, "utf-8")
    mldeploy(lab, "model", "deploy", name, "--entry-script", "score.py", *words)
