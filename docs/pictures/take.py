"""Takes the pictures of README and docs from a real notebook in JupyterLab.

    pip install playwright pillow   # and Chromium: apt-get install chromium
    python docs/pictures/take.py [--only NAME] [--width 900] [--theme dark] [--out FOLDER]

It needs JupyterLab and the demo's packages beside it, as `.ci/venv demo` installs them; `JUPYTER` names another
`jupyter` program, such as `.venv/bin/jupyter`. JupyterLab runs in a temporary folder with settings of its own. The
pictures are saved with 64 colours, which keeps each below 150 kB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

TRAIN = """\
%load_ext mldeploy_jupyter

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

X, y = load_iris(return_X_y=True, as_frame=True)
model = LogisticRegression(max_iter=500).fit(X, y)
"""
SCRIPT = """\
%%entry_script
import os
import joblib
import pandas as pd

def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "iris.pkl"))

def run(data: pd.DataFrame):
    return model.predict_proba(data).round(3)
"""
BROKEN = SCRIPT.replace("model.predict_proba(data)", "mode1.predict_proba(data)")

# Picture -> its cells, and the indexes of the cells that are shown, first and last.
PICTURES: dict[str, tuple[list[str], int, int]] = {
    "deploy": ([TRAIN, "%register iris model", SCRIPT, "%deploy iris", "%score iris X[:3]"], 2, 4),
    "cause": ([TRAIN, "%register iris model", BROKEN], 2, 2),
    "services": (
        [
            TRAIN,
            "%register iris model",
            SCRIPT,
            "%deploy iris --wait",
            "%update iris --worker-count 2 --wait",
            "%score iris X[:2]",
            "%services iris",
            "%logs iris -l 4",
        ],
        6,
        7,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=tuple(PICTURES))
    parser.add_argument("--width", type=int, default=900)
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        server, port = start_lab(folder, args.theme)
        try:
            for name in [args.only] if args.only else PICTURES:
                take(folder, port, name, args.width, args.out / f"{name}.png")
        finally:
            server.terminate()
            server.wait(30)


def start_lab(folder: Path, theme: str) -> tuple[subprocess.Popen[bytes], int]:
    """Starts JupyterLab in the folder and waits until it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = folder / "settings"
    write(settings / "@jupyterlab/apputils-extension/notification", {"fetchNews": "false", "checkForUpdates": False})
    write(settings / "@jupyterlab/apputils-extension/themes", {"theme": f"JupyterLab {theme.title()}"})
    names = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    environ = {**os.environ, **{f"JUPYTER_{name}": str(folder / name.lower()) for name in names}}
    environ |= {"JUPYTERLAB_SETTINGS_DIR": str(settings), "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces")}
    program = os.environ.get("JUPYTER") or shutil.which("jupyter") or "jupyter"
    command = [program, "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=t", "--LabApp.expose_app_in_browser=True"]
    environ |= {"MLDEPLOY_HOME": str(folder / "home"), "MLDEPLOY_CACHE": str(folder / "cache")}
    (folder / "work").mkdir()
    server = subprocess.Popen(command, cwd=folder / "work", env=environ)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status?token=t", timeout=5).close()
            return server, port
        except OSError:
            time.sleep(0.2)
    raise SystemExit("JupyterLab does not answer")


def write(path: Path, values: dict[str, Any]) -> None:
    path = path.with_suffix(".jupyterlab-settings")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def take(folder: Path, port: int, name: str, width: int, picture: Path) -> None:
    """Runs the cells of a picture in a notebook of its own and saves what its last cells show."""
    from playwright.sync_api import sync_playwright

    sources, first, last = PICTURES[name]
    work = folder / "work" / name
    work.mkdir()
    cells = [
        {"cell_type": "code", "execution_count": None, "id": f"c{i}", "metadata": {}, "outputs": [], "source": source}
        for i, source in enumerate([*(s.rstrip("\n") for s in sources), "%delete iris"])
    ]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    (work / "iris.ipynb").write_text(json.dumps(notebook))
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(folder / f"browser-{name}"),
            executable_path=shutil.which("chromium"),
            headless=True,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync"],
            viewport={"width": width, "height": 2600},
            device_scale_factor=1.5,
        )
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}/doc/tree/{name}/iris.ipynb?token=t", timeout=120_000)
        page.wait_for_function("window.jupyterapp && window.jupyterapp.shell.currentWidget", timeout=120_000)
        page.evaluate("""async () => {
            const panel = window.jupyterapp.shell.currentWidget;
            await panel.context.ready;
            await panel.sessionContext.ready;
            await panel.sessionContext.session.kernel.info;
        }""")
        for index in range(last + 1):
            run_cell(page, index)
        page.wait_for_timeout(1500)  # a timeline's last update, and fonts
        boxes = [page.locator(".jp-Notebook-cell").nth(index).bounding_box() for index in (first, last)]
        top, bottom = boxes[0]["y"] - 4, boxes[1]["y"] + boxes[1]["height"] + 8
        left = boxes[0]["x"]
        clip = {"x": left, "y": top, "width": min(boxes[0]["width"], width - left), "height": bottom - top}
        page.screenshot(path=str(picture), clip=clip)
        run_cell(page, len(cells) - 1)
        context.close()
    shrink(picture)


def run_cell(page: Any, index: int) -> None:
    page.evaluate(
        """async (index) => {
            const {content} = window.jupyterapp.shell.currentWidget;
            content.activeCellIndex = index;
            await window.jupyterapp.commands.execute("notebook:run-cell");
        }""",
        index,
    )


def shrink(picture: Path) -> None:
    from PIL import Image

    Image.open(picture).convert("RGB").quantize(64).save(picture, optimize=True)
    size = picture.stat().st_size
    print(f"{picture}: {size / 1000:.0f} kB")
    if size > 150_000:
        raise SystemExit(f"{picture} is too large")


if __name__ == "__main__":
    main()
