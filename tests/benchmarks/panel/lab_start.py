"""Part 7: how long JupyterLab takes to start, with the extension and without it; the two take turns."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.panel.table import Table
from tests.browser.lab import PAGE_CONFIG, TOKEN, Lab

NAME = "mldeploy-jupyter"

# Milliseconds from the beginning of the navigation until the layout is restored.
STARTED = """async () => {
    await window.jupyterapp.started;
    await window.jupyterapp.restored;
    return performance.now();
}"""


def measure_lab_start(place: Path, browser: Any, table: Table, rounds: int) -> None:
    """Starts of the server, then of pages with an empty layout, whose files the browser has kept from the first."""
    servers: dict[bool, list[float]] = {True: [], False: []}
    pages: dict[bool, list[float]] = {True: [], False: []}
    for number in range(rounds):
        for extended in (True, False):
            words = [] if extended else ["--ServerApp.jpserver_extensions={'mldeploy_jupyter': False}"]
            begin = time.perf_counter()
            lab = Lab(place / f"server-{number}-{extended}", sys.executable, *words)
            servers[extended].append(time.perf_counter() - begin)
            lab.close()
    lab = Lab(place / "pages")
    try:
        config = lab.folder.parent / "config" / "labconfig" / "page_config.json"
        for number in range(rounds + 1):
            for extended in (True, False):
                config.write_text(json.dumps({**PAGE_CONFIG, "disabledExtensions": {} if extended else {NAME: True}}))
                took = open_page(lab, browser, extended)
                if number:  # the first has the browser fetch and compile everything
                    pages[extended].append(took)
    finally:
        lab.close()
    for extended, what in ((True, "with the extension"), (False, "without it")):
        table.add(f"JupyterLab, {what}: page until its layout is there", pages[extended])
        table.add(f"JupyterLab, {what}: server until it answers", servers[extended])


def open_page(lab: Lab, browser: Any, extended: bool) -> float:
    page = browser.new_page()
    page.goto(f"{lab.url}/lab?token={TOKEN}&reset")
    page.wait_for_function("() => window.jupyterapp?.started", timeout=90_000)
    took = float(page.evaluate(STARTED)) / 1000
    assert page.evaluate(f"() => window.jupyterapp.hasPlugin('{NAME}:plugin')") is extended
    page.close()
    return took
