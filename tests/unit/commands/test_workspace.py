"""`mldeploy workspace ...` and `mldeploy prune`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from mldeploy_jupyter.commands import Command, UsageError, run, workspace
from mldeploy_jupyter.core.errors import WorkspaceError
from tests.unit.commands.support import check_help, check_usage_error, make_context, notes, run_line

WRONG = [
    "prune --keep-deployments -1",
]


@pytest.mark.parametrize("item", workspace.COMMANDS, ids=lambda item: item.name)
def test_help(item: Command, snapshot: SnapshotAssertion) -> None:
    check_help(item, snapshot)


@pytest.mark.parametrize("line", WRONG)
def test_usage_errors(line: str, folder: Path, snapshot: SnapshotAssertion) -> None:
    check_usage_error(line, folder, snapshot)


def test_workspaces_are_created_listed_and_shown(folder: Path) -> None:
    made = run_line("workspace create a --name first")
    assert made.data["name"] == "first"
    run(["workspace", "create", "b"], context=make_context())
    with pytest.raises(WorkspaceError):
        run(["workspace", "create", "b"], context=make_context())
    run(["workspace", "create", "b", "--exist-ok"], context=make_context())
    folders = {row["name"]: row["path"] for row in run(["workspace", "list"], context=make_context()).data}
    assert folders["first"] == str(folder / "a") and folders["b"] == str(folder / "b")
    assert run_line("workspace show a").data["name"] == "first"
    assert run_line("model list -w a").data == []
    assert run_line("model list -w first").data == []


def test_a_workspace_with_the_options_of_v1(folder: Path) -> None:
    context = make_context()
    made = run_line("workspace create . -n demo -f Demo -l westeurope -t a=b --sku basic --keyvault k -y", context).data
    assert (made["location"], made["friendly_name"], made["tags"]) == ("westeurope", "Demo", {"a": "b"})
    assert notes(context) == (
        "note: --sku and the options of Azure's resources are not used here; the workspace is a folder.\n"
    )
    assert run_line("workspace update -t c=d -f Other").data["tags"] == {"c": "d"}


def test_a_workspace_is_deleted_when_that_is_said(folder: Path) -> None:
    run_line("workspace create 'my folder' -n demo")
    with pytest.raises(UsageError) as caught:
        run_line("workspace delete 'my folder'")
    assert caught.value.hint == "to confirm: mldeploy workspace delete 'my folder' --yes"
    with pytest.raises(UsageError) as named:
        run_line("workspace delete -w demo")
    assert named.value.hint == "to confirm: mldeploy workspace delete --yes -w demo"
    root = folder / "my folder" / ".mldeploy"
    assert root.is_dir()
    assert run_line("workspace delete -w demo -y").data == {"name": "demo", "path": str(root)}
    assert not root.exists()


def test_reading_makes_no_workspace(folder: Path) -> None:
    for line in ("model list", "model show churn", "workspace show", "prune"):
        with pytest.raises(WorkspaceError):
            run_line(line)
    assert run(["service", "list"], context=make_context()).data == []
    assert list(folder.iterdir()) == []


def test_a_workspace_from_the_config_of_v1(folder: Path) -> None:
    (folder / ".azureml").mkdir()
    settings = {"subscription_id": "s", "resource_group": "r", "workspace_name": "team"}
    (folder / ".azureml" / "config.json").write_text(json.dumps(settings))
    with pytest.raises(WorkspaceError, match="team has nothing in it yet"):
        run(["model", "list"], context=make_context())
    assert run(["service", "list"], context=make_context()).data == []
    assert not (folder / ".mldeploy").exists()
    (folder / "model.pkl").write_bytes(b"model")
    run(["model", "register", "churn", "model.pkl"], context=make_context())
    details = run(["workspace", "show"], context=make_context()).data
    assert (details["subscription_id"], details["resource_group"]) == ("s", "r")
