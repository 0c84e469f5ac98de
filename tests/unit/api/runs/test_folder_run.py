"""Runs in a folder of the workspace: ids and metrics."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.api.runs import Run
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.core.runs.folder_run import check_run_id


@pytest.mark.parametrize("id", ["", "a/b", "..", ".hidden", "x" * 129, None])
def test_an_id_must_be_a_plain_file_name(id: object) -> None:
    with pytest.raises(UserErrorException):
        check_run_id(id)


def test_metrics_have_v1s_form(ws: Workspace, run: Run) -> None:
    run.log("r2", 0.5, "how good", step=3)
    for loss in (3, 2, 1):
        run.log("loss", loss)
    run.log_list("curve", [0.1, 0.2])
    run.log_row("row", "one", x=1, y=2)
    run.log_table("table", {"x": [1, 2], "y": [3, 4]})
    metrics = Run(ws, run.id).get_metrics()
    assert metrics == {
        "r2": 0.5,
        "loss": [3, 2, 1],
        "curve": [0.1, 0.2],
        "row": {"x": 1, "y": 2},
        "table": {"x": [1, 2], "y": [3, 4]},
    }
    assert run.get_metrics("loss") == {"loss": [3, 2, 1]} and run.get_metrics("nope") == {}
    with pytest.raises(UserErrorException, match="must be a number"):
        run.log_row("row", x="one")
