"""Runs: files and properties in the workspace or in MLflow, and models from them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.runs import Run, folder_run
from mldeploy_jupyter.api.runs import run as run_module
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
    assert (ws.folder.runs / run.id / "metrics.jsonl").read_text() == '{"name": "r2", "value": 0.5}\n'


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
        "description": lambda: run.register_model("m", "outputs", description=5),  # type: ignore[arg-type]
        "metric": lambda: run.log("x", "much"),  # type: ignore[arg-type]
        "no active run": lambda: Run.get_context(allow_offline=False),
    }
    texts = {}
    for case, call in cases.items():
        with pytest.raises(MldeployError) as caught:
            call()
        text = str(caught.value).replace(run.id, "RUN")
        text = text.replace(str(ws.folder.root), "WORKSPACE").replace(os.getcwd(), "FOLDER")
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
        folder_run.check_run_id(id)


def test_metrics_come_back_as_v1_gives_them(ws: Workspace, run: Run) -> None:
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


def test_status_tags_and_details(ws: Workspace, run: Run) -> None:
    assert (run.get_status(), run.status) == ("Running", "Running")
    run.tag("mark")
    run.set_tags({"a": "b", "c": "d"})
    run.remove_tags(["c"])
    assert run.tags == run.get_tags() == {"mark": "", "a": "b"}
    run.complete()
    details = Run(ws, run_id=run.id).get_details()
    assert (details["runId"], details["status"], details["tags"]) == (run.id, "Completed", run.tags)
    assert details["startTimeUtc"] <= details["endTimeUtc"]
    assert "run.json" not in details["outputFiles"] and "outputs/model.pkl" in details["outputFiles"]
    assert Run.get_context().id != run.id  # the next one is another run
    failed = Run.get_context()
    failed.fail("no data")
    assert (failed.get_status(), failed.tags) == ("Failed", {"error": "no data"})


def test_files_go_in_and_out(ws: Workspace, run: Run, folder: Path) -> None:
    import io

    run.upload_files(["a/1", "a/2"], ["m.pkl", io.BytesIO(b"stream")])
    (folder / "tree" / "deep").mkdir(parents=True)
    (folder / "tree" / "deep" / "x").write_bytes(b"x")
    run.upload_folder("up", "tree")
    assert {"a/1", "a/2", "up/deep/x"} < set(run.get_file_names())
    run.download_file("a/2", "out/copy")
    run.download_file("a/2")
    assert (folder / "out" / "copy").read_bytes() == (folder / "2").read_bytes() == b"stream"
    run.download_files("a/", "all")
    run.download_files("a/", "short", append_prefix=False)
    run.download_files("a/", output_paths=["p", "q"])
    assert (folder / "all/a/1").is_file() and (folder / "short/2").read_bytes() == b"stream"
    assert (folder / "q").read_bytes() == b"stream"


def test_wrong_uses_of_a_run_are_named(ws: Workspace, run: Run, folder: Path) -> None:
    import io

    wrong = [
        (lambda: run.upload_files(["a"], []), "1 names and 0 paths"),
        (lambda: run.upload_folder("a", "nowhere"), "there is no folder nowhere"),
        (lambda: run.upload_file("a", io.StringIO("text")), "the stream gives text"),
        (lambda: run.upload_file("properties.json", "m.pkl"), "cannot have the name"),
        (lambda: run.download_file("outputs"), "outputs is a folder"),
        (lambda: run.download_files("outputs/", output_paths=["a"]), "1 output_paths for 2 files"),
        (lambda: Run(ws, "a", run_id="b"), "id and run_id are both given"),
        (lambda: Run(ws), "cannot be the id of a run"),
        (lambda: run.upload_files("a", ["m.pkl"]), "names is 'a'"),  # type: ignore[arg-type]
        (lambda: run.upload_file("a", None), "None cannot be kept as a"),
        (lambda: run.log_list("a", 3), "a is 3"),
        (lambda: run.log_row("a"), "the row 'a' has no columns"),
        (lambda: run.log_table("a", 3), "the table 'a' is 3"),  # type: ignore[arg-type]
    ]
    for call, text in wrong:
        with pytest.raises(UserErrorException, match=text) as caught:
            call()
        assert caught.value.why and caught.value.hint
