"""Runs: files and properties in the workspace or in MLflow, and models from them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.runs import Run
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import (
    MldeployError,
    UserErrorException,
)


def test_properties_metrics_and_files_are_kept_in_the_workspace(ws: Workspace, run: Run) -> None:
    assert Run.get_context() is run
    run.add_properties({"a": 1})
    run.add_properties({"b": [2]})
    run.log("r2", 0.5)
    again = Run(ws, run.id)
    assert again.properties == {"a": 1, "b": [2]}
    assert again.get_file_names() == ["other", "outputs/deep/x", "outputs/model.pkl"]
    assert again.experiment_name is None
    assert (ws.folder.runs / run.id / "metrics.jsonl").read_text() == '{"name": "r2", "value": 0.5}\n'


def test_models_are_registered_from_a_run(ws: Workspace, run: Run) -> None:
    model = run.register_model("m", "outputs/model.pkl", tags={"a": "b"})
    assert (model.files, model.run_id, model.tags) == (["model.pkl"], run.id, {"a": "b"})
    assert model.run.id == run.id
    assert run.register_model("m", "./outputs/").files == ["outputs/deep/x", "outputs/model.pkl"]
    assert run.register_model("other").files == ["other"]
    copied = Model.register(ws, f"runs:/{run.id}/outputs/model.pkl", "m")
    assert (copied.id, copied.digest, copied.run_id) == ("m:3", model.digest, run.id)
    assert [m.id for m in Model.list(ws, "m", run_id=run.id)] == ["m:3", "m:2", "m:1"]


def test_errors_name_the_files_and_the_next_call(ws: Workspace, run: Run, snapshot) -> None:
    cases = {
        "no run": lambda: Run(ws, "nope"),
        "bad id": lambda: Run(ws, "../x"),
        "no path": lambda: run.register_model("m", "outputs/nope"),
        "prefix is not a path": lambda: run.register_model("m", "outputs/mod"),
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


def test_bad_arguments_are_refused_with_cause_and_hint(ws: Workspace, run: Run, folder: Path) -> None:
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
