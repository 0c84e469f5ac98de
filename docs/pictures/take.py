"""Takes the pictures of README and docs from real notebooks in JupyterLab, light and dark.

    .venv/bin/python docs/pictures/take.py [NAME ...] [--theme light] [--width 1080] [--out FOLDER]

It needs the packages of `.ci/venv demo`, Pillow (`pip install pillow`) and Chromium (`apt-get install chromium`).
JupyterLab runs in a temporary folder with settings of its own. The pictures are saved with 256 colours, and each stays
below 150 kB. A latency run that is invalid is made again, and is no picture; one picture and one theme take less than
two minutes of a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from mldeploy_jupyter.commands.latency import INVALID  # noqa: E402
from tests.browser.lab import Lab, open_browser  # noqa: E402
from tests.browser.notebook import Notebook, make_notebook  # noqa: E402

TRAIN = """\
%load_ext mldeploy_jupyter

from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

X, y = load_diabetes(return_X_y=True, as_frame=True)
model = Ridge(alpha=0.1).fit(X[["age", "bmi", "bp", "s5"]], y)
%register diabetes model"""
SCRIPT = """\
%%entry_script score.py
import os
import joblib
import pandas as pd
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.schema_decorators import input_schema

ROWS = [[0.038, 0.062, 0.022, 0.02], [-0.002, -0.051, -0.026, -0.068]]
SAMPLE = pd.DataFrame(ROWS, columns=["age", "bmi", "bp", "s5"])

def init():
    global model
    path = os.path.join(os.environ["AZUREML_MODEL_DIR"], "diabetes.pkl")
    model = joblib.load(path)

@input_schema("data", PandasParameterType(SAMPLE))
def run(data):
    return model.predict(data).round(1).tolist()"""
WRONG_RUN = SCRIPT.replace("model.predict(", "mode1.predict(")
WRONG_INIT = SCRIPT.replace("score.py", "score.py --no-check").replace(
    "joblib.load(path)", 'joblib.load(path)["model"]'
)

THEMES = {"light": "", "dark": "-dark"}  # with the ends of their files' names

TRIES = 6  # of a run that says nothing, because the machine was too busy to send its load in time


@dataclass(frozen=True)
class Picture:
    """Cells that are run, how many of the last ones are shown, and what is done before the picture is taken."""

    cells: tuple[str, ...]
    shown: int
    prepare: Callable[[Notebook], None]
    rerun: bool = False  # the last cell, in the dark theme: its figure has the theme of the page
    services: tuple[str, ...] = ("diabetes",)  # that are deleted afterwards


class RunStaysInvalid(SystemExit):
    """The machine is too busy for a picture of its latencies."""


def score_the_sample(notebook: Notebook) -> None:
    panel = notebook.panel()
    notebook.wait_for_state(panel, "live")
    panel.get_by_role("button", name="Send request").click()
    panel.get_by_text("200 OK").wait_for()


def wait_for_the_cause(notebook: Notebook) -> None:
    notebook.wait_for_state(notebook.panel(), "failed")
    notebook.panel().get_by_role("alert").wait_for()


def fill_in_the_form(notebook: Notebook) -> None:
    panel = notebook.panel()
    panel.get_by_label("Service name").fill("diabetes")
    panel.locator(".mld-Preview").get_by_text("diabetes").first.wait_for()


def measure_the_service(notebook: Notebook) -> None:
    panel = notebook.panel()
    notebook.wait_for_state(panel, "live")
    panel.get_by_role("tab", name="Latency").click()
    again = panel.get_by_role("button", name="Measure again…")
    for _ in range(TRIES):
        panel.get_by_label("Rate", exact=True).fill("100")
        panel.get_by_label("Duration").fill("12")
        panel.get_by_role("button", name="Run", exact=True).click()
        again.wait_for(timeout=60_000)
        if not panel.locator(".mld-Message[data-level=error]").count():  # an invalid run, in whatever words
            break
        again.click()
    else:
        raise RunStaysInvalid(f"no picture: {TRIES} runs were invalid")
    panel.get_by_role("img", name=re.compile("^Latency over time")).wait_for()


def wait_for_the_figure(notebook: Notebook) -> None:
    last = notebook.page.locator(".jp-Notebook .jp-Cell").last
    for _ in range(TRIES):
        notebook.page.locator(".js-plotly-plot .main-svg").first.wait_for()
        if not last.get_by_text(INVALID).count():
            return
        notebook.run(notebook.page.locator(".jp-Notebook .jp-Cell").count() - 1)
    raise RunStaysInvalid(f"no picture: {TRIES} runs were invalid")


def wait_until_it_is_live(notebook: Notebook) -> None:
    notebook.wait_for_state(notebook.panel(), "live")


def read_tutorial(name: str, last: str) -> tuple[str, ...]:
    """The code of a tutorial, up to the cell that begins so."""
    cells = nbformat.read(HERE.parents[1] / "notebooks" / f"{name}.ipynb", as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    return tuple(sources[: next(at for at, source in enumerate(sources, 1) if source.startswith(last))])


MEASURE = "%latency diabetes diabetes-batched --rate 100 --duration 12"
# By file name; a tutorial's is its own.
PICTURES = {
    "01-quickstart": Picture(read_tutorial("01-quickstart", "%score"), 2, wait_until_it_is_live),
    "02-containers": Picture(read_tutorial("02-containers", "%score"), 2, wait_until_it_is_live),
    "04-latency": Picture(
        read_tutorial("04-latency", "result = %latency"),
        1,
        wait_for_the_figure,
        rerun=True,
        services=("diabetes", "diabetes-batched", "diabetes-sleepy"),
    ),
    "deploy": Picture((TRAIN, SCRIPT, "%deploy diabetes"), 2, score_the_sample),
    "failed": Picture((TRAIN, WRONG_INIT, "%deploy diabetes"), 1, wait_for_the_cause),
    "form": Picture((TRAIN, SCRIPT, "%deploy --form"), 1, fill_in_the_form),
    "latency-tab": Picture((TRAIN, SCRIPT, "%deploy diabetes"), 1, measure_the_service),
    "latency": Picture(
        (TRAIN, SCRIPT, "%deploy diabetes --wait\n%deploy diabetes-batched --max-batch-size 16 --wait", MEASURE),
        1,
        wait_for_the_figure,
        rerun=True,
        services=("diabetes", "diabetes-batched"),
    ),
    "cause": Picture((TRAIN, WRONG_RUN), 1, lambda notebook: None),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*PICTURES, []], metavar="NAME", help=", ".join(PICTURES))
    parser.add_argument("--theme", choices=THEMES, help="only this one; default both")
    parser.add_argument("--width", type=int, default=1080, help="of the page, in CSS pixels; default 1080")
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ |= {"MLDEPLOY_HOME": str(folder / "home"), "MLDEPLOY_CACHE": str(folder / "cache")}
        lab = Lab(folder)
        try:
            size = {"width": args.width, "height": 2600}
            with open_browser(folder / "profile", viewport=size, device_scale_factor=1.5) as browser:
                for name in args.names or PICTURES:
                    themes = [args.theme] if args.theme else [*THEMES]
                    take(lab, browser.new_page(), PICTURES[name], args.out / name, themes)
        finally:
            lab.close()


def take(lab: Lab, page: Any, picture: Picture, path: Path, themes: list[str]) -> None:
    """Runs the cells in a notebook of their own, and saves `<path>.png` and `<path>-dark.png`, or one of them."""
    notebook = make_notebook(lab, page, *picture.cells, name=f"{path.name}.ipynb")
    page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
    choose_theme(page, themes[0])
    for index in range(len(picture.cells)):
        notebook.run(index)
    try:
        picture.prepare(notebook)
        for theme in themes:
            choose_theme(page, theme)
            if picture.rerun and theme != themes[0]:
                forget_runs(lab.folder)
                notebook.run(len(picture.cells) - 1)
                picture.prepare(notebook)
            page.evaluate(
                "() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }"
            )  # no cell toolbar
            page.evaluate("() => document.activeElement.blur()")
            page.mouse.move(0, 0)
            page.wait_for_timeout(1000)  # style sheets and fonts of the theme
            save(page, picture.shown, path.with_name(f"{path.name}{THEMES[theme]}.png"))
    finally:
        notebook.run_code("\n".join(f"%delete {name}" for name in picture.services))
        page.close()


def forget_runs(folder: Path) -> None:
    """Or the report of the next run would compare it with them."""
    for kept in [*folder.glob("**/.mldeploy/latency")]:
        shutil.rmtree(kept)


def choose_theme(page: Any, theme: str) -> None:
    page.evaluate(
        "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })",
        f"JupyterLab {theme.title()}",
    )
    light = str(theme == "light").lower()
    page.wait_for_function("(light) => document.body.dataset.jpThemeLight === light", arg=light)


def save(page: Any, shown: int, path: Path) -> None:
    """Saves the last cells as a picture with a palette."""
    from PIL import Image

    cells = page.locator(".jp-Notebook .jp-Cell")
    cells.last.scroll_into_view_if_needed()
    boxes = [cells.nth(index).bounding_box() for index in range(cells.count() - shown, cells.count())]
    top, bottom = boxes[0]["y"] - 4, boxes[-1]["y"] + boxes[-1]["height"] + 8
    clip = {"x": boxes[0]["x"], "y": top, "width": boxes[0]["width"], "height": bottom - top}
    page.screenshot(path=str(path), clip=clip)
    picture = Image.open(path).convert("RGB")
    # This method keeps the colours of what is small, such as a check.
    picture.quantize(256, method=Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
    kilobytes = path.stat().st_size / 1000
    print(f"{path}: {kilobytes:.0f} kB")
    if kilobytes > 150:
        raise SystemExit(f"{path} is too large")


if __name__ == "__main__":
    main()
