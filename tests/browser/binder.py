"""What Binder does with `binder/`, then the tutorial in a browser: python -m tests.browser.binder [FOLDER].

A clone of this checkout gets an environment of its own, with the Python that `runtime.txt` names and nothing but what
its files install, in FOLDER, by default `build/binder/`. Needs the package index, that Python and Chromium; it takes
some minutes, so it is not part of the normal run. `PYTHON=/path/to/python3.12` names one that uv does not find.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.browser.lab import Lab, open_browser
from tests.browser.lab_page import LabPage
from tests.browser.notebook import Notebook
from tests.integration.notebook.conftest import end_services
from tests.polling import wait_until

ROOT = Path(__file__).parents[2]
NOTEBOOK = "01-quickstart.ipynb"
PLAIN_PATH = "/usr/bin:/bin"  # without this checkout's environment, and without whatever else is on the PATH


def build(folder: Path) -> Path:
    """Builds the environment as Binder does. Returns its interpreter."""
    clone, environment = folder / "repository", folder / "environment"
    python = environment / "bin" / "python"
    if clone.exists():
        shutil.rmtree(clone)
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    version = (clone / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    if not python.exists():
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run(
            [uv, "venv", "-q", "--seed", "--python", os.environ.get("PYTHON", version), str(environment)], check=True
        )
    variables = {"HOME": str(folder), "PATH": f"{python.parent}:{PLAIN_PATH}", "LANG": "C.UTF-8"}
    requirements = str(clone / "binder" / "requirements.txt")
    for words in ([str(python), "-m", "pip", "install", "-q", "-r", requirements], ["bash", "binder/postBuild"]):
        subprocess.run(words, cwd=clone, env=variables, check=True)
    return python


def run(python: Path, place: Path) -> None:
    """Runs every cell of the tutorial in JupyterLab, with the extension of that environment."""
    lab = Lab(place / "lab", str(python), installed=True)
    try:
        shutil.copy(ROOT / "notebooks" / NOTEBOOK, lab.folder)
        with open_browser(place / "profile") as browser:
            page = browser.new_page()
            notebook = Notebook(lab, page, NOTEBOOK).open()
            cells = page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length")
            shown = LabPage(lab, page)
            for index in range(cells):
                notebook.run(index, seconds=180)
                source = page.evaluate(SOURCE, index)
                if source.startswith("service = %deploy"):
                    notebook.wait_for_state(notebook.panel(index), "live", seconds=180)
                    shown.show_sidebar()
                    shown.wait_for_row("diabetes", "Live")
                print(f"{index + 1} of {cells}: {source.splitlines()[0][:60]}", flush=True)
                error = notebook.output(index).locator("[data-mime-type='application/vnd.jupyter.stderr']")
                assert not page.evaluate(FAILED, index), error.all_inner_texts()
            wait_until(lambda: shown.row("diabetes").count() == 1)  # its model is left, the service is not
    finally:
        lab.close()
        for store in lab.folder.rglob(".mldeploy"):
            end_services(store.parent)


SOURCE = "(index) => window.jupyterapp.shell.currentWidget.content.widgets[index].model.sharedModel.getSource()"
FAILED = """(index) => {
    const { outputs } = window.jupyterapp.shell.currentWidget.content.widgets[index].model.sharedModel.toJSON();
    return (outputs ?? []).some((output) => output.output_type === 'error');
}"""


def main(words: list[str]) -> None:
    folder = Path(words[0]).absolute() if words else ROOT / "build" / "binder"
    folder.mkdir(parents=True, exist_ok=True)
    python = build(folder)
    with tempfile.TemporaryDirectory() as name:
        os.environ["MLDEPLOY_HOME"] = str(Path(name) / "home")  # none of the user's services
        run(python, Path(name))
    print("all cells ran")


if __name__ == "__main__":
    main(sys.argv[1:])
