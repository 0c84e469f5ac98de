"""An order acts in the workspace it is given in; what reads says which workspace answered."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mldeploy_jupyter.commands import COMMANDS, Command, UsageError
from mldeploy_jupyter.core.errors import WebserviceNotFound, WorkspaceError
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.core.workspace.folder import create_workspace, find_workspace
from tests.unit.commands.support import make_context, notes, run_line

# Each command with a service's name that only reads; it may look in every workspace.
READS = {"service show", "service get-logs", "service wait"}
MORE = {
    "service run": "-d 1",
    "service regen-key": "-k primary",
    "service update": "--description x",
}
WITH_A_SERVICE = [item for item in COMMANDS if item.path[0] == "service" and item.name != "service list"]
ORDERS = [item for item in WITH_A_SERVICE if item.name not in READS]


@pytest.fixture
def elsewhere(folder: Path) -> Path:
    """The folder of another workspace of this user, which has the service `churn`."""
    other = create_workspace(folder / "other", name="theirs")
    other.open_store().save_service(ServiceRecord("churn", "local", "Local"))
    return other.root.parent


def line_of(item: Command) -> str:
    return f"{item.name} churn {MORE.get(item.name, '')}"


@pytest.mark.parametrize("item", ORDERS, ids=lambda item: item.name)
def test_an_order_does_not_reach_another_workspace(item: Command, folder: Path, elsewhere: Path) -> None:
    create_workspace(folder / "here", name="ours")
    os.chdir(folder / "here")
    with pytest.raises(WebserviceNotFound) as caught:
        run_line(line_of(item))
    assert caught.value.what == "there is no service 'churn' in the workspace ours"
    assert caught.value.hint == f"if you mean the churn of another workspace, name that: -w {elsewhere}"
    found = find_workspace(elsewhere)
    assert found is not None and found.open_store().get_service("churn") is not None


@pytest.mark.parametrize("item", [item for item in ORDERS if item.name != "service run"], ids=lambda item: item.name)
def test_an_order_outside_any_workspace_is_refused(item: Command, folder: Path, elsewhere: Path) -> None:
    with pytest.raises(WorkspaceError, match="there is no workspace in") as caught:
        run_line(line_of(item))
    assert f"-w {elsewhere}" in caught.value.hint


def test_an_order_without_a_workspace_names_the_option(folder: Path) -> None:
    for line in ("service delete nope", "model list", "model delete m:1", "prune"):
        with pytest.raises(WorkspaceError) as caught:
            run_line(line)
        assert "name one with -w" in caught.value.hint, line


def test_a_read_says_which_workspace_answered(folder: Path, elsewhere: Path) -> None:
    create_workspace(folder / "here")
    for place in (folder, folder / "here"):
        os.chdir(place)
        context = make_context()
        shown = run_line("service show churn", context)
        assert notes(context) == f"note: churn is in the workspace theirs, {elsewhere}\n"
        assert shown.data["workspacePath"] == str(elsewhere) and shown.data["workspaceName"] == "theirs"
    listed = run_line("service list --all-workspaces")
    assert [item["workspacePath"] for item in listed.data] == [str(elsewhere)] and str(elsewhere) in listed.text
    json.dumps(listed.data)


def test_the_workspace_here_counts_where_the_list_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_workspace(folder, name="ours").open_store().save_service(ServiceRecord("churn", "local", "Local"))
    monkeypatch.setenv("MLDEPLOY_HOME", "/proc/nothing")
    assert [item["name"] for item in run_line("service list --all").data] == ["churn"]


def test_a_name_in_no_workspace_or_in_several(folder: Path, elsewhere: Path) -> None:
    with pytest.raises(WebserviceNotFound) as caught:
        run_line("service show nope")
    assert caught.value.what == "no workspace has a service 'nope'"
    create_workspace(folder / "third").open_store().save_service(ServiceRecord("churn", "local", "Local"))
    with pytest.raises(UsageError, match="churn is in several workspaces") as several:
        run_line("service show churn")
    assert several.value.hint.endswith(f"-w {elsewhere} or -w {folder / 'third'}")


def test_a_folder_that_is_called_like_a_workspace_does_not_stand_for_it(folder: Path, elsewhere: Path) -> None:
    create_workspace(folder / "here", name="ours")
    (folder / "here" / "theirs").mkdir()  # no workspace: a search from it would find `ours`
    os.chdir(folder / "here")
    assert run_line("service show churn -w theirs").data["workspaceName"] == "theirs"
    assert run_line("workspace show -w theirs").data["name"] == "theirs"
