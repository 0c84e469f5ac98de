"""JupyterLab with a notebook, its kernel, and what both are asked."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.panel.machine import read_bytes
from tests.benchmarks.panel.scripts import LOAD, OBSERVER, RECORDER
from tests.browser.lab import Lab, find_chromium, open_browser
from tests.browser.notebook import Notebook, make_notebook
from tests.integration.notebook.conftest import end_services
from tests.polling import wait_until


@contextmanager
def open_lab(place: Path) -> Iterator[tuple[Lab, Any]]:
    if find_chromium() is None:
        sys.exit(
            "error: Chromium is missing\ncause: the panel is measured in a browser\nhint: apt-get install chromium"
        )
    lab = Lab(place / "lab")
    try:
        with open_browser(place / "profile", viewport={"width": 1280, "height": 1600}) as browser:
            browser.add_init_script(OBSERVER)
            yield lab, browser
    finally:
        lab.close()
        end_services(lab.folder)


def open_notebook(lab: Lab, browser: Any, text: str) -> Notebook:
    """A notebook whose first cell is the recorder and whose second is `text`, with its own page and kernel."""
    made = make_notebook(lab, browser.new_page(), RECORDER, text)
    made.run(0)
    made.run_code("[each for each in range(3)]")
    return made


def close_notebook(lab: Lab, made: Notebook) -> None:
    made.shut_down_kernel()
    made.page.close()
    wait_until(lambda: not lab.api("kernels"))
    end_services(lab.folder)


def load(lab: Lab, made: Notebook) -> tuple[float, float, list[str]]:
    """Loads the magics. Returns its seconds, those of the processor, and the modules that it imported."""
    made.run_code(LOAD)
    return read_load(lab)


def read_load(lab: Lab) -> tuple[float, float, list[str]]:
    wall, cpu, new = json.loads((lab.folder / "loaded.json").read_text())
    return wall, cpu, new


def kernel_pid(lab: Lab) -> int:
    """The process of the only kernel that runs."""
    (kernel,) = lab.api("kernels")
    needle = kernel["id"].encode()
    (found,) = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if needle in read_bytes(path)]
    return found


def settled(made: Notebook) -> None:
    """Waits until the page has nothing to do for a moment."""
    made.page.evaluate("() => new Promise((done) => requestIdleCallback(() => setTimeout(done, 300)))")


def set_hidden(made: Notebook, hidden: bool) -> None:
    made.page.evaluate(
        "(hidden) => { window.bench.hidden = hidden; document.dispatchEvent(new Event('visibilitychange')); }", hidden
    )


def clock_skew(made: Notebook) -> float:
    """Seconds by which the page's clock is ahead of this program's."""
    found = []
    for _ in range(7):
        before = time.time()
        page = made.page.evaluate("() => window.bench.now()")
        after = time.time()
        found.append((after - before, page - (before + after) / 2))
    return float(min(found)[1])
