"""Where no one sits before the notebook its outputs end final; in a terminal the magics follow."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from .conftest import SCRIPT, end_services

BROKEN = SCRIPT.replace('["factor"]', '["faktor"]')


@pytest.fixture
def execute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., nbformat.NotebookNode]]:
    """Runs cells as nbconvert does; the services they leave are ended."""
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    (folder / "factor.json").write_text('{"factor": 3}')

    def run(*cells: str) -> nbformat.NotebookNode:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": folder}})
        try:
            client.execute()
        finally:
            nbformat.write(notebook, folder / "ran.ipynb")
        return notebook

    yield run
    end_services(folder)


LOAD = "%load_ext mldeploy_jupyter"
REGISTER = "%register factor factor.json"


def test_a_notebook_that_ends_with_deploy_is_saved_in_its_final_state(
    execute: Callable[..., nbformat.NotebookNode],
) -> None:
    notebook = execute(LOAD, REGISTER, f"%%entry_script\n{SCRIPT}", "service = %deploy factor")
    (shown,) = [output for output in notebook.cells[-1].outputs if output.output_type == "display_data"]
    assert "Live at http://127.0.0.1:" in shown.data["text/plain"]
    assert "✓ Switch traffic" in shown.data["text/plain"]
    assert "live on this machine" in shown.data["text/html"]
    assert "Saved while it was running" not in shown.data["text/html"]


def test_a_deployment_that_is_not_waited_for_is_final_once_a_cell_needs_it(
    execute: Callable[..., nbformat.NotebookNode],
) -> None:
    notebook = execute(
        LOAD, REGISTER, f"%%entry_script\n{SCRIPT}", "service = %deploy factor --no-wait", "service.run({'value': 2})"
    )
    assert notebook.cells[-1].outputs[-1].data["text/plain"] == "{'answer': 6}"
    (shown,) = [output for output in notebook.cells[3].outputs if output.output_type == "display_data"]
    assert "Live at http://127.0.0.1:" in shown.data["text/plain"]


def test_a_deployment_that_fails_stops_the_notebook_with_its_cause(
    execute: Callable[..., nbformat.NotebookNode], folder: Path
) -> None:
    with pytest.raises(CellExecutionError):
        execute(LOAD, REGISTER, f"%%entry_script --no-check\n{BROKEN}", "%deploy factor", "print('reached')")
    cells = nbformat.read(folder / "ran.ipynb", as_version=4).cells
    assert not cells[-1].outputs
    shown = next(output for output in cells[3].outputs if output.output_type == "display_data")
    assert "failed in Roll out" in shown.data["text/plain"]
    error = next(output for output in cells[3].outputs if output.output_type == "error")
    text = "\n".join(error.traceback)
    assert '>    7          factor = json.load(file)["faktor"]' in text
    assert "error: " in text and "cause: " in text and "hint: " in text and "Traceback" not in text


def test_a_terminal_follows_and_shows_errors_in_three_lines(folder: Path) -> None:
    (folder / "factor.json").write_text('{"factor": 3}')
    (folder / "score.py").write_text(SCRIPT)
    lines = [
        LOAD,
        REGISTER,
        "%deploy factor",
        '%score factor {"value": 7}',
        "%services",
        "%deploy factor --por 3",
        "%score nosuch 1",
        "%delete factor",
    ]
    environment = {**os.environ, "IPYTHONDIR": str(folder / ".ipython"), "PYTHONWARNINGS": "default", "TERM": "dumb"}
    ran = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--simple-prompt", "--colors=NoColor"],
        input="\n".join(lines) + "\n",
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    shown = ran.stdout + ran.stderr
    try:
        assert "Live at http://127.0.0.1:" in shown, shown
        assert "{'answer': 21}" in shown
        assert "Service  State  Target  Revision" in shown and "factor   Live   Local   1" in shown
        assert "error: --por is not an option of %deploy" in shown
        assert "error: there is no service 'nosuch'" in shown and "hint: " in shown
        assert "Traceback" not in shown and "Deleted factor" in shown
    finally:
        end_services(folder)
