"""Runs in MLflow's tracking store, found only where one is in use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mldeploy_jupyter.api.runs import Run
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import ModelPathNotFoundException, RunEnvironmentException


def test_looking_for_a_run_creates_no_tracking_store(ws: Workspace, folder: Path) -> None:
    with pytest.raises(RunEnvironmentException):
        Run(ws, "0" * 32)
    assert sorted(os.listdir(folder)) == [".mldeploy", "m.pkl"]
    assert "mlflow" not in sys.modules


MLFLOW = """
import mlflow, sys
from mldeploy_jupyter import Model, Run, Workspace
ws = Workspace.get()
with mlflow.start_run() as active:
    mlflow.log_artifact("m.pkl", "outputs/deep")
    mlflow.set_tag("stage", "dev")
    run = Run.get_context()
    assert run.id == active.info.run_id
    run.upload_file("outputs/model.pkl", "m.pkl")
    run.add_properties({"owner": "ann"})
    run.log("r2", 0.5)
    run.tag("kind", "try")
    run.remove_tags(["nope"])
    assert run.get_status() == "Running"
again = Run(ws, run.id)
assert again.tags == {"stage": "dev", "owner": "ann", "kind": "try"}, again.tags
assert again.get_details()["status"] == "Completed" and again.get_details()["endTimeUtc"]
assert ws.get_mlflow_tracking_uri() == mlflow.get_tracking_uri()
assert again.get_file_names() == ["outputs/deep/m.pkl", "outputs/model.pkl"], again.get_file_names()
assert again.properties["stage"] == "dev" and again.properties["owner"] == "ann"
assert mlflow.get_run(run.id).data.metrics == {"r2": 0.5}
for step, loss in enumerate((3, 2)):
    again.log("loss", loss, step=step)
again.log_list("curve", [0.1, 0.2])
again.log_row("row", x=1, y=2)
assert again.get_metrics() == {"r2": 0.5, "loss": [3, 2], "curve": [0.1, 0.2], "row.x": 1, "row.y": 2}
again.remove_tags(["kind"])
again.fail("no data")
assert (again.get_status(), again.tags["error"], "kind" in again.tags) == ("Failed", "no data", False)
again.download_file("outputs/model.pkl", "copied.pkl")
assert open("copied.pkl", "rb").read() == b"model"
model = again.register_model("m", "outputs")
assert model.files == ["outputs/deep/m.pkl", "outputs/model.pkl"] and model.experiment_name == "Default"
one = Model.register(ws, f"runs:/{run.id}/outputs/model.pkl", "m")
assert one.files == ["model.pkl"] and one.run_id == run.id
try:
    again.register_model("m", "nope")
except Exception as error:
    assert "outputs/model.pkl" in error.message, error
    print(type(error).__name__)
try:
    Run(ws, "0" * 32)
except Exception as error:
    print(type(error).__name__)
"""


def test_a_run_of_mlflow_behaves_as_one_of_the_workspace(ws: Workspace, folder: Path) -> None:
    """A real MLflow with a tracking store in a folder, in a process of its own, because it changes global state."""
    pytest.importorskip("mlflow", reason="MLflow is missing: pip install 'mldeploy-jupyter[mlflow]'")
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": (folder / "tracking").as_uri(),
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }
    done = subprocess.run([sys.executable, "-c", MLFLOW], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == [ModelPathNotFoundException.__name__, RunEnvironmentException.__name__]


def test_an_unreachable_tracking_store_is_explained(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="MLflow is missing: pip install 'mldeploy-jupyter[mlflow]'")
    code = (
        "from mldeploy_jupyter import Run, Workspace\ntry: Run(Workspace.get(), 'x')\nexcept Exception as e: print(e)"
    )
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "nonsense://place"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("error: run x could not be looked up in MLflow\ncause: "), done.stderr
