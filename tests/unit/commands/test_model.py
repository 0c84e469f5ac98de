"""`mldeploy model ...`, except `model deploy`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.api.models import Model, ResourceConfiguration
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.commands import Command, UsageError, model, run
from mldeploy_jupyter.core.errors import MldeployError, ModelNotFoundException
from tests.unit.commands.support import check_help, check_usage_error, make_context, notes, parse_line, run_line

WRONG = [
    "model show",
    "model show churn:x",
    "model register -n churn",
    "model register -n churn --asset-path a",
    "model register -n churn -p a --asset-path b",
    "model register -n churn -p a --run-id r",
]


@pytest.mark.parametrize("item", model.COMMANDS, ids=lambda item: item.name)
def test_help(item: Command, snapshot: SnapshotAssertion) -> None:
    check_help(item, snapshot)


@pytest.mark.parametrize("line", WRONG)
def test_usage_errors(line: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    check_usage_error(line, folder, snapshot)


def test_a_path_that_is_not_there_makes_no_workspace(folder: Path) -> None:
    (folder / "ridge.pkl").write_bytes(b"model")
    with pytest.raises(MldeployError) as caught:
        run_line("model register -n churn -p rigde.pkl")
    assert caught.value.hint == "did you mean ridge.pkl?" and not (folder / ".mldeploy").exists()


def test_models_from_register_to_delete(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(b"model")
    ctx = make_context()
    made = run(shlex.split("model register churn model.pkl --tag stage=test -d 'a model' -t meta.json"), context=ctx)
    assert (made.text, made.data["id"], made.data["tags"]) == ("Registered churn:1", "churn:1", {"stage": "test"})
    assert "Created workspace" in notes(ctx)
    assert json.loads((folder / "meta.json").read_text())["modelId"] == "churn:1"
    run_line("model register -n churn -p model.pkl")
    listed = run(["model", "list"], context=make_context())
    assert [row["version"] for row in listed.data] == [2, 1]
    assert [line.split()[:2] for line in listed.text.splitlines()] == [
        ["NAME", "VERSION"],
        ["churn", "2"],
        ["churn", "1"],
    ]
    assert len(run(["model", "list", "--latest"], context=make_context()).data) == 1
    assert [m["id"] for m in run_line("model list --tag stage=test").data] == ["churn:1"]
    assert run(["model", "show", "churn"], context=make_context()).data["version"] == 2
    assert run_line("model show -n churn --version 1").data["version"] == 1
    run_line("model update churn:1 --add-tag stage=prod --description new --cc 2 --gb 1.5")
    updated = run_line("model update churn:1 --cc 4 --sample-input-dataset-id d1").data
    assert (updated["sampleInputDatasetId"], updated["sampleOutputDatasetId"]) == ("d1", None)
    shown = run(["model", "show", "churn:1"], context=make_context()).data
    assert (shown["tags"], shown["description"]) == ({"stage": "prod"}, "new")
    resources = Model(Workspace.get(), "churn", version=1).resource_configuration
    assert resources == ResourceConfiguration(cpu=4, memory_in_gb=1.5)
    assert run_line("model list --dataset-id other").data == []
    with pytest.raises(ModelNotFoundException):
        run_line("model show -n churn --run-id other")
    copied = run_line("model download churn:1 -t copy")
    assert Path(copied.data["path"]).read_bytes() == b"model"
    assert run(["model", "delete", "churn:1"], context=make_context()).data == {"modelId": "churn:1", "deleted": True}
    with pytest.raises(ModelNotFoundException):
        run(["model", "show", "churn:1"], context=make_context())


def test_nothing_is_registered_when_its_id_cannot_be_written(folder: Path) -> None:
    (folder / "m.pkl").touch()
    for place, why in (("/nope/meta.json", "no such file or directory"), (".", "is a directory")):
        with pytest.raises(UsageError) as caught:
            run(["model", "register", "-n", "m", "-p", "m.pkl", "-t", place], context=make_context())
        assert caught.value.why == why
    with pytest.raises(MldeployError):
        run(["model", "register", "-n", "m", "-p", "gone.pkl", "-t", "meta.json"], context=make_context())
    assert not (folder / "meta.json").exists()
    assert not (folder / ".mldeploy").exists()


def test_options_of_register_as_in_2019() -> None:
    args = parse_line(
        "model register", "-n m --asset-path outputs/model.pkl --experiment-name e --run-id r -t out.json"
    )
    assert (args.name, args.asset_path, args.experiment_name, args.run_id) == ("m", "outputs/model.pkl", "e", "r")
    assert parse_line("model register", "-n m -p model.pkl").model_path == "model.pkl"
