"""`Experiment`: runs of one name, in the workspace and in MLflow."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.api.runs import Experiment, Run
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import UserErrorException


def test_runs_of_an_experiment_are_listed_newest_first(ws: Workspace) -> None:
    experiment = Experiment(ws, "churn")
    assert list(experiment.get_runs()) == [] and ws.experiments == {}
    first = experiment.start_logging(snapshot_directory=None)
    first.log("r2", 0.5)
    first.complete()
    second = experiment.start_logging(display_name="second")
    second.set_tags({"kind": "tree"})
    assert [run.id for run in experiment.get_runs()] == [second.id, first.id]
    assert [run.id for run in experiment.get_runs(status="Completed")] == [first.id]
    assert [run.id for run in experiment.get_runs(tags={"kind": "tree"})] == [second.id]
    assert (first.number, second.number) == (1, 2)
    assert (first.name, second.name) == (first.id, "second")
    assert list(ws.experiments) == ["churn"] and ws.experiments["churn"] == experiment
    assert Run(experiment, first.id).get_metrics() == {"r2": 0.5}


def test_a_run_names_its_experiment_and_its_models_do(ws: Workspace) -> None:
    run = Experiment(workspace=ws, name="churn").start_logging()
    run.upload_file("outputs/m.pkl", "m.pkl")
    assert run.experiment.name == run.experiment_name == "churn" and run.experiment.workspace is ws
    assert run.register_model("m", "outputs/m.pkl").experiment_name == "churn"
    assert Run(experiment=run.experiment, run_id=run.id).get_file_names() == ["outputs/m.pkl"]


def test_a_run_without_an_experiment_is_of_the_default_one(ws: Workspace, run: Run) -> None:
    assert run.experiment_name is None and run.experiment.name == "Default"
    assert [found.id for found in run.experiment.get_runs()] == [run.id]
    assert [experiment.name for experiment in Experiment.list(ws)] == ["Default"]
    assert Experiment.list(ws, "other") == []


def test_a_damaged_run_is_left_out(ws: Workspace, run: Run) -> None:
    (ws.folder.runs / run.id / "run.json").write_text("{")
    assert list(Experiment(ws, "Default").get_runs()) == []


def test_submit_and_wrong_names_are_refused(ws: Workspace) -> None:
    with pytest.raises(UserErrorException, match="does not submit training runs"):
        Experiment(ws, "e").submit(object())
    for name in ("", None, 3, "two\nlines"):
        with pytest.raises(UserErrorException):
            Experiment(ws, name)  # type: ignore[arg-type]
