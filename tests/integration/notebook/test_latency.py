"""`%latency` in a real kernel, with and without a person at the front end."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from .conftest import Kernel, end_services

SCRIPT = """\
%%entry_script score.py --no-check
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("data", StandardPythonParameterType([1, 2]))
def run(data):
    return sum(data)"""
PLOTLY = "application/vnd.plotly.v1+json"


def run_notebook(folder: Path, *cells: str) -> list[list[dict[str, Any]]]:
    """The outputs of cells that a program runs."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    nbformat.validate(notebook)
    return [[dict(output) for output in cell.outputs] for cell in notebook.cells]


def test_a_notebook_that_a_program_runs_is_saved_with_figure_and_table(folder: Path) -> None:
    try:
        *_, outputs, alone = run_notebook(
            folder,
            "%load_ext mldeploy_jupyter",
            SCRIPT,
            "%deploy sums --wait",
            "result = %latency sums --rate 50 --duration 2 --warmup 5\nresult",
            "result",
        )
    finally:
        end_services(folder)
    figure, table = [output["data"] for output in outputs if "data" in output]
    assert len(figure[PLOTLY]["data"]) >= 2 and "<svg" in figure["text/html"]
    assert "<table" in table["text/html"] and "<svg" not in table["text/html"]  # the figure is above
    assert "sums" in table["text/plain"] and "p50" in table["text/plain"]
    assert "<svg" in alone[0]["data"]["text/html"]  # where it stands alone
    assert "widget-view" not in json.dumps(outputs)
    assert len(json.dumps(outputs)) < 100_000


@pytest.mark.slow
def test_an_interrupt_ends_the_run_and_shows_what_was_measured(kernel: Kernel, folder: Path) -> None:
    for cell in ("%load_ext mldeploy_jupyter", SCRIPT, "%deploy sums --wait"):
        assert kernel.run(cell).status == "ok"
    interrupted = []

    def interrupt(ran: Any) -> None:
        if not interrupted and any(
            "requests" in text or "sums" in text for texts in ran.displays.values() for text in texts[1:]
        ):
            interrupted.append(True)
            kernel.manager.interrupt_kernel()

    ran = kernel.run("result = %latency sums --rate 50 --duration 60", on_output=interrupt)
    assert interrupted and ran.status == "ok", ran
    # Where the machine was busy as well, that is said: it is the graver reason.
    assert re.search("the run was stopped before its end|own process was late by", ran.stream), ran.stream
    assert "cancelled" in kernel.run("print(result.ending.reason, len(result.samples) > 0)").stream
    assert next(iter(ran.displays.values()))[-1] == "<figure: spectrum of sums>"
