"""Runs below runs, `with run:`, the wait for an end, and v1's calls of Azure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.api.arguments import AzureOnly
from mldeploy_jupyter.api.azure_names import EXPERIMENT, RUN, WORKSPACE
from mldeploy_jupyter.api.runs import Experiment, Run, relations
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import RunEnvironmentException, UserErrorException, WebserviceException
from mldeploy_jupyter.core.runs import folder_run


def test_runs_below_a_run(ws: Workspace) -> None:
    experiment = Experiment(ws, "churn")
    run = experiment.start_logging()
    child = run.child_run(name="fold 1")
    below = child.child_run(run_id="deep")
    assert child.parent is not None and child.parent.id == run.id and run.parent is None
    assert (child.name, below.id, child.experiment_name) == ("fold 1", "deep", "churn")
    assert [found.id for found in run.get_children()] == [child.id]
    assert {found.id for found in run.get_children(recursive=True)} == {child.id, "deep"}
    assert [found.id for found in experiment.get_runs()] == [run.id]
    assert {found.id for found in experiment.get_runs(include_children=True)} == {run.id, child.id, "deep"}
    child.complete()
    assert [found.id for found in run.get_children(status="Running")] == []
    assert len(run.create_children(count=2)) == 2
    with pytest.raises(UserErrorException, match="there is a run deep already"):
        run.child_run(run_id="deep")


def test_a_tree_of_runs_is_read_once_and_a_damaged_one_ends(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Experiment(ws, "churn").start_logging()
    children = run.create_children(count=20)
    children[0].child_run(run_id="below")
    state = ws.folder.runs / run.id / "run.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "parent": "below"}))  # a circle
    looks: list[Path | None] = []
    read = folder_run.read_states
    monkeypatch.setattr(folder_run, "read_states", lambda runs: looks.append(runs) or read(runs))
    found = [child.id for child in run.get_children(recursive=True)]
    assert len(found) == 22 and found[found.index(children[0].id) + 1] == "below" and len(looks) == 1


def test_with_ends_the_run(ws: Workspace) -> None:
    experiment = Experiment(ws, "churn")
    with experiment.start_logging() as good:
        pass
    with experiment.start_logging() as cancelled:
        cancelled.cancel()
    with pytest.raises(ValueError, match="bad"), experiment.start_logging() as bad:
        raise ValueError("bad")
    assert [run.status for run in (good, cancelled, bad)] == ["Completed", "Canceled", "Failed"]
    assert bad.tags == {"error": "ValueError: bad"}


def test_the_wait_for_a_run_that_has_ended(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run = Experiment(ws, "churn").start_logging()
    run.complete()
    assert run.wait_for_completion(show_output=True)["status"] == "Completed"
    assert capsys.readouterr().out == f"RunId: {run.id}\n{run.get_portal_url()}\nStatus: Completed\n"
    failed = Experiment(ws, "churn").start_logging()
    failed.fail("disk full")
    with pytest.raises(RunEnvironmentException, match="disk full"):
        failed.wait_for_completion()
    assert failed.wait_for_completion(raise_on_error=False)["status"] == "Failed"


def test_the_wait_for_a_run_of_this_process_would_not_end(ws: Workspace) -> None:
    run = Experiment(ws, "churn").start_logging()
    with pytest.raises(RunEnvironmentException) as caught:
        run.wait_for_completion()
    assert str(caught.value).splitlines()[2].startswith("hint: call run.complete() first")


def test_the_wait_for_a_run_of_another_process(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Experiment(ws, "churn").start_logging()
    monkeypatch.setattr(relations, "_begun_here", set())
    monkeypatch.setattr(relations.time, "sleep", lambda seconds: run.complete())  # the other process
    assert run.wait_for_completion()["status"] == "Completed"


def test_the_url_is_that_of_the_runs_folder(ws: Workspace, run: Run) -> None:
    assert run.get_portal_url() == (ws.folder.runs / run.id).as_uri()


def test_pictures_and_json_are_files_of_the_run(ws: Workspace, run: Run, folder: Path) -> None:
    class Plot:
        def savefig(self, path: Path, **settings: object) -> None:
            Path(path).write_bytes(b"png")

    (folder / "roc.jpg").write_bytes(b"jpg")
    before = set(run.get_file_names())
    run.log_image("ROC curve", path="roc.jpg")
    run.log_image("loss", plot=Plot())
    run.log_image("loss", plot=Plot(), description="again")
    run.log_confusion_matrix("matrix", {"data": {"matrix": [[1, 0], [0, 1]]}})
    run.log_accuracy_table("accuracy", '{"a": 1}')
    assert set(run.get_file_names()) - before == {
        *("ROC curve.jpg", "loss.png", "loss_1.png", "matrix.json", "accuracy.json"),
    }


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ({}, "cause: it is a file or a plot"),
        ({"path": "m.pkl", "plot": 1}, "cause: it is a file or a plot"),
        ({"plot": 1}, "cause: it must be matplotlib's pyplot or a figure of it"),
        ({"path": "nope.png"}, "cause: it was looked for in"),
    ],
)
def test_a_picture_is_one_file_or_one_plot(run: Run, arguments: dict[str, Any], cause: str) -> None:
    with pytest.raises(UserErrorException, match=cause):
        run.log_image("roc", **arguments)
    with pytest.raises(WebserviceException, match="must be a dict"):
        run.log_residuals("a", "no JSON")


@pytest.mark.parametrize("method", ["get_output", *RUN])
def test_what_needs_azure_says_what_to_do(run: Run, method: str) -> None:
    with pytest.raises(AzureOnly) as caught:
        getattr(run, method)()
    what = RUN[method].what if method in RUN else "needs Azure"
    assert caught.value.what == f"run.{method} {what}" and caught.value.why and caught.value.hint


def test_attributes_of_azure_say_why_and_hasattr_is_false(ws: Workspace) -> None:
    experiment = Experiment(ws, "churn")
    for owner, names in ((ws, WORKSPACE), (experiment, EXPERIMENT)):
        for name in names:
            assert not hasattr(owner, name)
    with pytest.raises(AzureOnly, match="nothing to sign in to"):
        ws._auth.get_authentication_header()  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="'Workspace' object has no attribute 'modells'"):
        ws.modells  # type: ignore[attr-defined]  # noqa: B018


def test_the_workspaces_settings_are_texts(ws: Workspace) -> None:
    assert (ws.location, ws.sku, ws.subscription_id, ws.resource_group) == ("local", "Basic", "", "")
    assert (ws.friendly_name, ws.description) == ("test", "")
