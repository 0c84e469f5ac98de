"""Runs: files and properties in the workspace or in MLflow, and models from them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mldeploy_jupyter.api import run as run_module
from mldeploy_jupyter.api import run_backends
from mldeploy_jupyter.api.model import Model
from mldeploy_jupyter.api.run import Run
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import (
    MldeployError,
    ModelPathNotFoundException,
    RunEnvironmentException,
    UserErrorException,
)


@pytest.fixture
def ws(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(run_module, "_offline", None)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)  # as if nobody had imported it
    (folder / "m.pkl").write_bytes(b"model")
    return Workspace.create("test")


@pytest.fixture
def run(ws: Workspace) -> Run:
    run = Run.get_context()
    run.upload_file("outputs/model.pkl", "m.pkl")
    run.upload_file("outputs/deep/x", "m.pkl")
    run.upload_file("other", "m.pkl")
    return run


def test_a_run_of_the_workspace(ws: Workspace, run: Run) -> None:
    assert Run.get_context() is run
    run.add_properties({"a": 1})
    run.add_properties({"b": [2]})
    run.log("r2", 0.5)
    again = Run(ws, run.id)
    assert again.properties == {"a": 1, "b": [2]}
    assert again.get_file_names() == ["other", "outputs/deep/x", "outputs/model.pkl"]
    assert again.experiment_name is None
    assert (ws._folder.runs / run.id / "metrics.jsonl").read_text() == '{"name": "r2", "value": 0.5}\n'


def test_models_of_a_run(ws: Workspace, run: Run) -> None:
    model = run.register_model("m", "outputs/model.pkl", tags={"a": "b"})
    assert (model.files, model.run_id, model.tags) == (["model.pkl"], run.id, {"a": "b"})
    assert model.run.id == run.id
    assert run.register_model("m", "./outputs/").files == ["outputs/deep/x", "outputs/model.pkl"]
    assert run.register_model("other").files == ["other"]
    copied = Model.register(ws, f"runs:/{run.id}/outputs/model.pkl", "m")
    assert (copied.id, copied.digest, copied.run_id) == ("m:3", model.digest, run.id)
    assert [m.id for m in Model.list(ws, "m", run_id=run.id)] == ["m:3", "m:2", "m:1"]


def test_the_errors(ws: Workspace, run: Run, snapshot) -> None:
    cases = {
        "no run": lambda: Run(ws, "nope"),
        "bad id": lambda: Run(ws, "../x"),
        "no path": lambda: run.register_model("m", "outputs/nope"),
        "prefix is no path": lambda: run.register_model("m", "outputs/mod"),
        "outside": lambda: run.register_model("m", "../x"),
        "no model path": lambda: Model.register(ws, f"runs:/{run.id}/nope", "m"),
        "no run in a path": lambda: Model.register(ws, "runs:/nope/x", "m"),
        "upload": lambda: run.upload_file("x", "nowhere"),
        "metric": lambda: run.log("x", "much"),  # type: ignore[arg-type]
        "no active run": lambda: Run.get_context(allow_offline=False),
    }
    texts = {}
    for case, call in cases.items():
        with pytest.raises(MldeployError) as caught:
            call()
        text = str(caught.value).replace(run.id, "RUN").replace(str(ws._folder.root), "WORKSPACE")
        texts[case] = f"{type(caught.value).__name__}\n{text}"
    assert texts == snapshot
    assert Model.list(ws) == []


def test_asking_for_a_run_does_not_make_a_tracking_store(ws: Workspace, folder: Path) -> None:
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
again = Run(ws, run.id)
assert again.get_file_names() == ["outputs/deep/m.pkl", "outputs/model.pkl"], again.get_file_names()
assert again.properties["stage"] == "dev" and again.properties["owner"] == "ann"
assert mlflow.get_run(run.id).data.metrics == {"r2": 0.5}
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


def test_a_run_of_mlflow(ws: Workspace, folder: Path) -> None:
    """A real MLflow with a tracking store in a folder, in a process of its own: it is slow and changes global state."""
    pytest.importorskip("mlflow", reason="MLflow is missing: pip install 'mldeploy-jupyter[mlflow]'")
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": (folder / "tracking").as_uri(),
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }
    done = subprocess.run([sys.executable, "-c", MLFLOW], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == [ModelPathNotFoundException.__name__, RunEnvironmentException.__name__]


def test_a_tracking_store_that_is_gone_is_explained(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="MLflow is missing: pip install 'mldeploy-jupyter[mlflow]'")
    code = (
        "from mldeploy_jupyter import Run, Workspace\ntry: Run(Workspace.get(), 'x')\nexcept Exception as e: print(e)"
    )
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "nonsense://place"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("error: run x could not be looked up in MLflow\ncause: "), done.stderr


@pytest.mark.parametrize("id", ["", "a/b", "..", ".hidden", "x" * 129, None])
def test_an_id_is_a_plain_name(id: object) -> None:
    with pytest.raises(UserErrorException):
        run_backends.check_run_id(id)
