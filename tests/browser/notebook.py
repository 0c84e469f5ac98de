"""A notebook in a page of JupyterLab: make it, run its cells, find its panels."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import nbformat

from tests.browser.lab import TOKEN, Lab
from tests.polling import wait_until

SECONDS = 60.0  # for anything that is waited for: generous, it only ends a hang


class Notebook:
    """A notebook that is open in `page`, a page of Playwright."""

    def __init__(self, lab: Lab, page: Any, name: str) -> None:
        self.lab, self.page, self.name = lab, page, name

    @property
    def path(self) -> Path:
        return self.lab.folder / self.name

    def open(self) -> Notebook:
        """Opens the notebook, and waits until its kernel can run cells."""
        self.page.goto(f"{self.lab.url}/lab/tree/{self.name}?token={TOKEN}&reset")
        self.wait_for_kernel()
        return self

    def reload(self) -> None:
        """Loads the page again."""
        self.page.reload()
        self.wait_for_kernel()

    def wait_for_kernel(self) -> None:
        # The toolbar's indicator is not enough: a cell that is run too early is dropped without a word.
        self.page.wait_for_function(
            "() => window.jupyterapp?.shell?.currentWidget?.content?.widgets?.length", timeout=SECONDS * 1000
        )
        self.page.evaluate(
            """async () => {
                const { sessionContext } = window.jupyterapp.shell.currentWidget;
                await sessionContext.ready;
                await sessionContext.session.kernel.info;
            }"""
        )

    def run(self, index: int, wait: bool = True, seconds: float = SECONDS) -> None:
        """Runs the cell with this index, counted from 0; with `wait` until it has ended."""
        self.page.evaluate(
            """async ([index, seconds]) => {
                const { content } = window.jupyterapp.shell.currentWidget;
                content.activeCellIndex = index;
                const run = window.jupyterapp.commands.execute('notebook:run-cell');
                if (seconds === null) return;
                const end = (reject) => setTimeout(() => reject(new Error('the cell runs on')), seconds * 1000);
                await Promise.race([run, new Promise((_, reject) => end(reject))]);
            }""",
            [index, seconds if wait else None],
        )

    def run_all(self) -> None:
        """Runs every cell, one after the other."""
        for index in range(self.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length")):
            self.run(index)

    def write(self, index: int, source: str) -> None:
        """Writes a cell's source, and makes the cells up to it where they are missing."""
        self.page.evaluate(
            """([index, source]) => {
                const { sharedModel } = window.jupyterapp.shell.currentWidget.content.model;
                while (sharedModel.cells.length <= index)
                    sharedModel.insertCell(sharedModel.cells.length, { cell_type: 'code', source: '', metadata: {} });
                sharedModel.cells[index].setSource(source);
            }""",
            [index, source],
        )

    def run_code(self, source: str, wait: bool = True) -> int:
        """Runs a new cell at the end. Returns its index."""
        index = int(self.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length"))
        self.write(index, source)
        self.run(index, wait)
        return index

    def is_running(self, index: int) -> bool:
        """Whether the cell is running or waits to run. One of text never does."""
        return bool(
            self.page.evaluate(
                """(index) => {
                    const { model } = window.jupyterapp.shell.currentWidget.content.widgets[index];
                    return model.type === 'code' && model.executionState !== 'idle';
                }""",
                index,
            )
        )

    def output(self, index: int) -> Any:
        """The cell's outputs, as a locator."""
        return (
            self.page.locator(".jp-Notebook .jp-Cell").nth(index).locator(".jp-Cell-outputWrapper .jp-Cell-outputArea")
        )

    def text(self, index: int) -> str:
        """The text that can be seen in the cell's outputs."""
        return str(self.output(index).inner_text())

    def panel(self, index: int | None = None) -> Any:
        """The panels in a cell's outputs, or in the whole notebook, as a locator."""
        return (self.page.locator(".jp-Notebook") if index is None else self.output(index)).locator(".mld-Panel")

    def wait_for_state(self, panel: Any, *states: str, seconds: float = SECONDS) -> str:
        """Waits until the panel's label says one of these states, such as `live`. Returns what it says."""
        seen = ""

        def reached() -> bool:
            nonlocal seen
            label = panel.first.get_attribute("aria-label") or "" if panel.count() else ""
            seen = label.partition(", ")[2]
            return seen.startswith(states)

        try:
            wait_until(reached, seconds)
        except AssertionError:
            raise AssertionError(f"the panel is {seen or 'not there'}, and not {' or '.join(states)}") from None
        return seen

    def save(self) -> dict[str, Any]:
        """Saves the notebook. Returns what is in the file."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")
        return dict(json.loads(self.path.read_text("utf-8")))

    def restart_kernel(self) -> None:
        """Restarts the kernel, as the menu does."""
        self.page.evaluate("async () => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        self.wait_for_kernel()

    def shut_down_kernel(self) -> None:
        """Ends the kernel, as the menu does."""
        self.page.evaluate("async () => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")


def make_notebook(lab: Lab, page: Any, *cells: str, name: str = "") -> Notebook:
    """A new notebook with these cells, open in the page."""
    name = name or f"notebook-{time.monotonic_ns()}.ipynb"
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(document, lab.folder / name)
    return Notebook(lab, page, name).open()
