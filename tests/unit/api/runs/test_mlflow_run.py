"""Runs in MLflow's tracking store, found only where one is in use."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api.runs import Run
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import ModelPathNotFoundException, RunEnvironmentException
from mldeploy_jupyter.core.runs import mlflow_run

# Found, not imported: a process that has imported MLflow looks for runs in it.
needs_mlflow = pytest.mark.skipif(find_spec("mlflow") is None, reason="pip install 'mldeploy-jupyter[mlflow]'")


def test_looking_for_a_run_creates_no_tracking_store(ws: Workspace, folder: Path) -> None:
    with pytest.raises(RunEnvironmentException):
        Run(ws, "0" * 32)
    assert sorted(os.listdir(folder)) == [".mldeploy", "m.pkl"]
    assert "mlflow" not in sys.modules


MLFLOW = """
import mlflow, sys
from mldeploy_jupyter import Model, Run, Workspace
from mldeploy_jupyter.core.runs import mlflow_run
mlflow_run.PAGE = 1  # several pages of whatever is listed
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
from mldeploy_jupyter.api.runs import Experiment
here = Experiment(ws, "Default").start_logging()
assert [run.id for run in Experiment(ws, "Default").get_runs()] == [here.id, again.id]
child = again.child_run("below")
assert (child.name, child.parent.id, again.parent, again.number) == ("below", again.id, None, 1)
assert [run.id for run in again.get_children()] == [child.id] and list(ws.experiments) == ["Default"]
assert again.get_portal_url().startswith("file:") and again.experiment.workspace == ws
child.complete()
import logging
logging.getLogger("mlflow").setLevel(logging.ERROR)
class Double(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input * 2
with mlflow.start_run() as active:
    logged = mlflow.pyfunc.log_model(
        name="double", python_model=Double(), pip_requirements=[], registered_model_name="doubles"
    )
client = mlflow.MlflowClient()
client.set_registered_model_alias("doubles", "champion", 1)
client.transition_model_version_stage("doubles", 1, "Production")
assert "double/MLmodel" in Run(ws, active.info.run_id).get_file_names()
for uri, folder in {
    f"runs:/{active.info.run_id}/double": "double", f"models:/{logged.model_id}": "double",
    "models:/doubles@champion": "doubles", "models:/doubles/1": "doubles", "models:/doubles/latest": "doubles",
    "models:/doubles/Production": "doubles",
}.items():
    model = Model.register(ws, uri, "copied")
    assert f"{folder}/MLmodel" in model.files, (uri, model.files)
    assert (model.run_id, model.experiment_name) == (active.info.run_id, "Default"), uri
Model.register(ws, "m.pkl", "doubles")  # from now on the name is one of the workspace
assert Model.register(ws, "models:/doubles/1", "copied").parent_id == "doubles:1"
for uri, listed in {
    "models:/doubles/9": "search_model_versions", "models:/doubles/Staging": "search_model_versions",
    "models:/nope@champion": "search_registered_models", "models:/m-" + "0" * 32: "search_registered_models",
}.items():
    try:
        Model.register(ws, uri, "copied")
    except Exception as error:
        assert type(error).__name__ == "ModelNotFoundException" and "workspace" in error.why, error
        assert listed in error.hint, error
    else:
        raise AssertionError(uri)
try:
    again.register_model("m", "nope")
except Exception as error:
    assert "outputs/model.pkl" in error.message, error
    print(type(error).__name__)
try:
    Run(ws, "0" * 32)
except Exception as error:
    print(type(error).__name__)
import shutil
shutil.rmtree("tracking")
try:
    again.get_metrics()
except Exception as error:
    print(type(error).__name__)
"""


@needs_mlflow
def test_a_run_of_mlflow_behaves_as_one_of_the_workspace(ws: Workspace, folder: Path) -> None:
    """A real MLflow with a tracking store in a folder, in a process of its own, because it changes global state."""
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": (folder / "tracking").as_uri(),
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }
    done = subprocess.run([sys.executable, "-c", MLFLOW], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    names = [ModelPathNotFoundException.__name__, RunEnvironmentException.__name__, RunEnvironmentException.__name__]
    assert done.stdout.splitlines()[-3:] == names


@needs_mlflow
def test_an_unreachable_tracking_store_is_explained(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from mldeploy_jupyter import Run, Workspace\ntry: Run(Workspace.get(), 'x')\nexcept Exception as e: print(e)"
    )
    environment = {**os.environ, "MLFLOW_TRACKING_URI": "nonsense://place"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("error: run x could not be looked up in MLflow\ncause: "), done.stderr


class Broken:
    """MLflow's client with libraries that do not fit it: whatever is called raises what nobody expects."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def method(*arguments: Any, **options: Any) -> Any:
            raise LookupError("One or more mappers failed to initialize\nand more")

        return method


@pytest.fixture
def broken(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The package, which says that a run is active, and otherwise fails as its client does."""
    package: Any = types.ModuleType("mlflow")
    package.MlflowClient = Broken
    package.get_tracking_uri = Broken().get_tracking_uri
    package.active_run = Broken().active_run
    monkeypatch.setitem(sys.modules, "mlflow", package)
    return package


@pytest.mark.parametrize(
    "call", [Workspace.get_mlflow_tracking_uri, lambda ws: Run(ws, "x"), lambda ws: Run.get_context(workspace=ws)]
)
def test_whatever_mlflow_raises_is_an_error_of_ours(
    ws: Workspace, broken: types.ModuleType, call: Callable[[Workspace], Any]
) -> None:
    with pytest.raises(RunEnvironmentException) as caught:
        call(ws)
    assert caught.value.why == "LookupError: One or more mappers failed to initialize"
    assert "pip check" in caught.value.hint


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("get_properties", ()),
        ("set_properties", ({"a": "b"},)),
        ("get_tags", ()),
        ("set_tags", ({"a": "b"},)),
        ("get_status", ()),
        ("end", ("Completed",)),
        ("list_files", ()),
        ("upload_file", ("x.pkl", Path("m.pkl"))),
        ("log_metric", ("r2", 0.5)),
        ("get_metrics", ()),
        ("local_copy", ("x.pkl",)),
    ],
)
def test_a_store_that_fails_in_between_is_an_error_of_ours(ws: Workspace, method: str, arguments: Any) -> None:
    run = mlflow_run.MlflowRun.__new__(mlflow_run.MlflowRun)
    run._client, run._id = Broken(), "r1"
    with pytest.raises(RunEnvironmentException, match=r"MLflow could not carry out \w+ for run r1"):
        found = getattr(run, method)(*arguments)
        if method == "local_copy":
            found.__enter__()


def test_a_package_that_cannot_be_imported_is_not_called_missing(
    ws: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "mlflow.py").write_text("import no_such_library_of_mlflow\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:///nowhere")
    for call in (ws.get_mlflow_tracking_uri, lambda: Run(ws, "x")):
        with pytest.raises(RunEnvironmentException) as caught:
            call()
        assert caught.value.why == "ModuleNotFoundError: No module named 'no_such_library_of_mlflow'"
        assert caught.value.hint.startswith("install no_such_library_of_mlflow; ")
