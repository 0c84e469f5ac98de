"""`RunDetails(run).show()` shows the run: as text outside of a notebook, as a table in one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from mldeploy_jupyter.api.runs import Experiment, Run
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.azureml.widgets import RunDetails
from mldeploy_jupyter.core.errors import UserErrorException


@pytest.fixture
def run(folder: Path) -> Run:
    with Experiment(Workspace.create("test"), "churn").start_logging(display_name="first") as run:
        run.log("r2", 0.5)
        run.log_list("loss", [3.0, 2.0])
        run.tag("owner", "<me>")
    return run


def test_text_outside_of_a_notebook(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    RunDetails(run).show()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "first   Completed"
    assert [line.split() for line in lines if "Metric" in line or "Experiment" in line] == [
        ["Experiment", "churn"],
        ["Metric", "loss", "2", "(the", "last", "of", "2)"],
        ["Metric", "r2", "0.5"],
    ]


def test_a_table_in_a_notebook(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    shell = InteractiveShell()
    monkeypatch.setattr(shell.display_pub, "publish", shown.append)
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    RunDetails(run).show(render_lib=None)
    assert "<td" in shown[0]["text/html"] and "owner=&lt;me&gt;" in shown[0]["text/html"]


def test_the_widgets_data_and_what_is_no_run(run: Run) -> None:
    assert RunDetails(run).get_widget_data()["metrics"]["r2"] == 0.5
    with pytest.raises(UserErrorException, match="RunDetails shows a Run"):
        RunDetails("run-1")
