"""Parts 1 and 2: loading the magics, and from `%deploy` to its panel."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.benchmarks.panel.notebook import clock_skew, close_notebook, load, open_notebook, read_load, settled
from tests.benchmarks.panel.scripts import LOAD, SAVE, SCRIPT
from tests.benchmarks.panel.table import Table
from tests.browser.lab import Lab
from tests.browser.notebook import Notebook
from tests.polling import wait_until

HEAVY = ("ipywidgets", "anywidget", "plotly", "docker", "kubernetes", "requests")  # that `%load_ext` must not import
FIRST = ("behind %load_ext", "one cell after the other", "after a moment")
LATER = 3  # panels of a kernel after its first, in each round


def measure_starts(lab: Lab, browser: Any, table: Table, rounds: int, trace: bool) -> None:
    """Parts 1 and 2: every round has a kernel for each way to begin."""
    loads: list[tuple[float, float]] = []
    imported: set[str] = set()
    times: dict[str, list[float]] = {}
    for number in range(rounds):
        for kind in FIRST:
            made = open_notebook(lab, browser, SCRIPT)
            names = [f"s{number}{kind[0]}{turn}" for turn in range(1 + LATER)]
            if kind == "behind %load_ext":
                steps = deploy_behind_load(lab, made, names[0], trace)
                loaded = read_load(lab)
            else:
                loaded = load(lab, made)
                time.sleep(3.0 if kind == "after a moment" else 0.0)
                made.run(1)
                steps = deploy(lab, made, names[0], trace)
            loads.append(loaded[:2])
            imported |= set(loaded[2])
            for step, seconds in steps.items():
                times.setdefault(f"first, {kind}: {step}", []).append(seconds)
            for name in names[1:]:
                for step, seconds in deploy(lab, made, name, trace).items():
                    times.setdefault(f"later: {step}", []).append(seconds)
            close_notebook(lab, made)
    table.add("%load_ext, warm kernel", [wall for wall, _ in loads], 0.1)
    table.add("%load_ext, warm kernel: processor time", [cpu for _, cpu in loads])
    heavy = sorted({name.split(".")[0] for name in imported} & set(HEAVY))
    table.add(f"%load_ext: heavy packages imported{': ' if heavy else ''}{', '.join(heavy)}", [len(heavy)], 0, "")
    limits = {**{f"first, {kind}": 0.5 for kind in FIRST}, "later": 0.15}
    for kind, limit in limits.items():
        for step in ("panel with its stages on the page", "painted", "shown by the kernel", "cell ended"):
            wanted = limit if step.startswith("panel") else None
            table.add(f"%deploy, {kind}: {step}", times[f"{kind}: {step}"], wanted)


def deploy_behind_load(lab: Lab, made: Notebook, name: str, trace: bool) -> dict[str, float]:
    """As `deploy`, in a cell that waits while the magics are loaded: from the moment at which the kernel begins it."""
    made.write(2, LOAD)
    made.write(3, SCRIPT)
    made.write(4, deploy_line(name))
    settled(made)
    for index in (2, 3, 4):
        made.run(index, wait=False)
    return read_steps(lab, made, 4, name, None, trace)


def deploy_line(name: str) -> str:
    return f"%deploy {name} --env NAME={name} --env GATE= --env DELAY=0"


def deploy(lab: Lab, made: Notebook, name: str, trace: bool) -> dict[str, float]:
    """Deploys a service that is live at once. Returns the seconds from the request until each step."""
    settled(made)
    index = int(made.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length"))
    made.write(index, deploy_line(name))
    begin = made.page.evaluate(
        """(index) => {
            const { content } = window.jupyterapp.shell.currentWidget;
            content.activeCellIndex = index;
            const begin = window.bench.now();
            window.jupyterapp.commands.execute('notebook:run-cell');
            return begin;
        }""",
        index,
    )
    return read_steps(lab, made, index, name, begin, trace)


def read_steps(lab: Lab, made: Notebook, index: int, name: str, begin: float | None, trace: bool) -> dict[str, float]:
    """The seconds until each step, from `begin` by the page's clock, else from when the kernel began the last cell."""
    panel = made.panel(index)
    made.wait_for_state(panel, "live", "failed")
    seen = made.page.evaluate("(name) => window.bench.panels.get(name)", name)
    wait_until(lambda: not made.is_running(index))
    made.run_code(SAVE)
    messages = json.loads((lab.folder / "messages.json").read_text())
    skew = clock_skew(made)
    if begin is None:
        inputs = [at for at, way, kind, _ in messages if (way, kind) == ("out", "execute_input")]
        begin = inputs[-2] + skew  # the last one is of the cell that saved the messages
    start = begin - skew
    steps = [(at - start, way, kind, detail) for at, way, kind, detail in messages if at > start - 0.01]
    if trace:
        print(f"\n{name}: there {seen['there'] - begin:.3f}, drawn {seen['drawn'] - begin:.3f}")
        for at, way, kind, detail in steps[:60]:
            print(f"  {at:7.3f} {way:<4} {kind:<16} {detail}")
    shown = next(at for at, way, kind, _ in steps if (way, kind) == ("out", "display_data"))
    ended = next(at for at, way, kind, _ in steps if at > 0 and (way, kind) == ("out", "execute_reply"))
    return {
        "panel with its stages on the page": seen["drawn"] - begin,
        "painted": seen["painted"] - begin,
        "shown by the kernel": shown,
        "cell ended": ended,
    }
