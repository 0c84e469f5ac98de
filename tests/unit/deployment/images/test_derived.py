"""Runs are told which image was made of their models."""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter.core.errors import RunEnvironmentException
from mldeploy_jupyter.core.records import ModelRecord
from mldeploy_jupyter.core.runs import mlflow_run
from mldeploy_jupyter.core.runs.folder_run import FolderRun
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.deployment.images.derived import DERIVED_IMAGE, name_image


class Tracking:
    """MLflow's store, of which only the properties are asked."""

    def __init__(self) -> None:
        self.properties: dict[str, dict[str, Any]] = {"tracked": {"kept": "1"}}

    def open(self, id: str) -> Any:
        if id == "away":
            raise RunEnvironmentException("MLflow cannot be reached")
        return _TrackedRun(self.properties[id]) if id in self.properties else None


class _TrackedRun:
    def __init__(self, properties: dict[str, Any]) -> None:
        self._properties = properties

    def get_properties(self) -> dict[str, Any]:
        return dict(self._properties)

    def set_properties(self, properties: dict[str, Any]) -> None:
        self._properties.update(properties)


@pytest.fixture
def tracking(monkeypatch: pytest.MonkeyPatch) -> Tracking:
    store = Tracking()
    monkeypatch.setattr(mlflow_run, "open_mlflow", store.open)
    return store


def model(run: str) -> ModelRecord:
    return ModelRecord("m", 1, "d" * 64, 0, {}, run_id=run)


def test_runs_in_the_workspace_and_in_mlflow_get_the_property(workspace: WorkspaceFolder, tracking: Tracking) -> None:
    run = FolderRun(workspace.runs / "local")
    run.begin()
    run.set_properties({"own": 1})
    models = [model(id) for id in ("local", "tracked", "away", "gone", "")]
    name_image(workspace, models, "here:1", remote=False)
    assert run.get_properties() == {"own": 1, DERIVED_IMAGE: "here:1"}
    assert tracking.properties["tracked"] == {"kept": "1"}
    name_image(workspace, models, "here:2", remote=True)
    assert run.get_properties()[DERIVED_IMAGE] == "here:1"
    assert tracking.properties == {"tracked": {"kept": "1", DERIVED_IMAGE: "here:2"}}
    name_image(workspace, models, "here:3")
    assert {run.get_properties()[DERIVED_IMAGE], tracking.properties["tracked"][DERIVED_IMAGE]} == {"here:3"}


def test_a_damaged_run_stops_nothing(workspace: WorkspaceFolder, tracking: Tracking) -> None:
    run = FolderRun(workspace.runs / "local")
    run.begin()
    (run.folder / run.PROPERTIES).write_text("garbage")
    name_image(workspace, [model("local")], "here:1")
    assert (run.folder / run.PROPERTIES).read_text() == "garbage"
