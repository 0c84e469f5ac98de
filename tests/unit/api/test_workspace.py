"""`Workspace`: creating, finding, describing and deleting the folder `.mldeploy/`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mldeploy_jupyter.api.models import Model
from mldeploy_jupyter.api.runs import Run
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import UserErrorException, WebserviceException, WorkspaceError
from mldeploy_jupyter.core.records import ServiceRecord

AZURE = {"subscription_id": "s", "resource_group": "g", "workspace_name": "azure-name"}


def test_create_get_and_details(folder: Path) -> None:
    made = Workspace.create("team", None, "sub", "group", "westeurope")
    assert made.name == "team" and made.location == "westeurope"
    again = Workspace.get()
    assert again == made == Workspace() == Workspace.get("team") == Workspace.create(exist_ok=True)
    assert again.get_details() == {
        "id": again.folder.config.id,
        "name": "team",
        "path": f"{folder}/.mldeploy",
        "store": f"sqlite:///{folder}/.mldeploy/store.db",
        "artifacts": f"{folder}/.mldeploy/artifacts",
        "subscription_id": "sub",
        "resource_group": "group",
        "workspace_name": None,
        "location": "westeurope",
        "friendly_name": None,
        "description": None,
        "tags": {},
        "base_image": None,
        "image_registry": None,
    }
    assert repr(again) == f"Workspace(name='team', path='{folder}/.mldeploy')"


def test_details_and_repr_hide_the_password_of_the_store(folder: Path) -> None:
    made = Workspace.create(store="postgresql+psycopg://me:secret@host/db")
    assert "secret" not in json.dumps(made.get_details()) + repr(made)


def test_a_known_workspace_is_found_by_name_from_anywhere(folder: Path) -> None:
    name = f"far-{folder.name}"
    made = Workspace.create(name, path=folder / "far")
    (folder / "here").mkdir()
    os.chdir(folder / "here")
    assert Workspace.get(name) == made
    Workspace.create(name, path=folder / "twin")
    with pytest.raises(WorkspaceError, match="more than one") as raised:
        Workspace.get(name)
    assert f"Workspace.get(path={str(folder / 'far')!r})" in str(raised.value)


def test_the_config_of_v1_says_which_of_several_workspaces_is_meant(folder: Path) -> None:
    """The notebooks of one Azure workspace lie in many folders, each with the same config.json."""
    name = f"azure-{folder.name}"
    for project in ("one", "two"):
        Workspace.create(name, None, "sub", "group", path=folder / project)
    (folder / "three" / "notebooks").mkdir(parents=True)
    os.chdir(folder / "three" / "notebooks")
    Workspace.get(path=folder / "one").write_config(str(folder / "three"))
    assert Workspace.get(name, None, "sub", "group").folder.root == folder / "three" / ".mldeploy"


def test_reads_create_no_folder_and_the_first_write_announces_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ws = Workspace()
    assert Model.list(ws) == [] and ws.name == folder.name
    assert ws.models == ws.webservices == ws.environments == {}
    assert os.listdir(folder) == []
    (folder / "m.pkl").write_bytes(b"m")
    Model.register(ws, "m.pkl", "m")
    assert capsys.readouterr().out.splitlines() == [
        f"Created workspace {folder.name} in {folder}/.mldeploy",
        "Registering model m",
    ]
    assert list(Workspace().models) == ["m"]


def test_from_config_reads_the_file_of_v1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".azureml").mkdir()
    (folder / ".azureml" / "config.json").write_text(json.dumps(AZURE))
    (folder / "notebooks").mkdir()
    os.chdir(folder / "notebooks")
    ws = Workspace.from_config()
    assert (ws.name, ws.subscription_id, ws.resource_group) == ("azure-name", "s", "g")
    assert not (folder / ".mldeploy").exists()
    assert ws.folder.root == folder / ".mldeploy"
    assert "Created workspace" in capsys.readouterr().out
    again = Workspace.from_config(str(folder / ".azureml" / "config.json"))
    assert again.folder == ws.folder and again.subscription_id == "s"
    assert Workspace.get().resource_group == "g"


def test_write_config_is_read_again(folder: Path) -> None:
    Workspace.create("w", None, "sub", "group").write_config()
    assert json.loads((folder / ".azureml" / "config.json").read_text()) == {
        "subscription_id": "sub",
        "resource_group": "group",
        "workspace_name": "w",
    }
    ws = Workspace.from_config()
    assert (ws.name, ws.subscription_id) == ("w", "sub")


def test_a_missing_workspace_is_named_with_the_next_command(folder: Path, snapshot) -> None:
    texts = []
    for call in (
        lambda: Workspace.get(),
        lambda: Workspace.from_config(),
        lambda: Workspace.from_config("nowhere"),
        lambda: Workspace.get("x", path=folder),
        lambda: Workspace.get("no body"),
    ):
        with pytest.raises(WorkspaceError) as caught:
            call()
        texts.append(str(caught.value).replace(str(folder), "FOLDER"))
    with pytest.raises(WorkspaceError, match="there is no workspace 'nobody'"):
        Workspace.get("nobody")
    assert texts == snapshot


@pytest.mark.parametrize("name", ["with space", "100%", "a%20b", "what?", "x#y", "größe", "a;b&c=d", "-n"])
def test_a_folder_of_any_name_can_be_a_workspace(folder: Path, name: str) -> None:
    (folder / "m.pkl").write_bytes(b"m")
    ws = Workspace.create(path=folder / name, artifacts=(folder / name / "bytes").as_uri())
    assert Model.register(ws, folder / "m.pkl", "m").version == 1
    assert Model(Workspace.get(path=folder / name), "m").download(str(folder / "out"))
    # SQLite's log files exist while this process has the store open.
    files = ["store.db", "store.db-shm", "store.db-wal", "store.db.reserve"]
    assert sorted(os.listdir(folder / name / ".mldeploy")) == [".gitignore", "config.json", *files]
    assert sorted(os.listdir(folder / name)) == [".mldeploy", "bytes"]


def test_the_azure_name_is_kept_when_the_folder_is_created(folder: Path) -> None:
    (folder / ".azureml").mkdir()
    (folder / ".azureml" / "config.json").write_text(json.dumps(AZURE))
    ws = Workspace.from_config()
    (folder / "m.pkl").write_bytes(b"m")
    assert ws.name == "azure-name"
    Model.register(ws, "m.pkl", "m")
    assert ws.name == Workspace.from_config().name == Workspace().name == "azure-name"


def test_parameters_for_azure_resources_are_ignored_with_one_note(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ws = Workspace.create(
        "team", create_resource_group=True, sku="basic", storage_account=None, tags={"a": "b"}, friendly_name="Team"
    )
    note = "Workspace.create: create_resource_group, sku are ignored; there are no Azure resources here\n"
    assert capsys.readouterr().out == note
    Workspace.create("team", exist_ok=True, show_output=False, cmk_keyvault="v")
    assert capsys.readouterr().out == ""
    assert (ws.tags, ws.get_details()["friendly_name"]) == ({"a": "b"}, "Team")
    with pytest.raises(UserErrorException, match="did you mean 'storage_account'"):
        Workspace.create("x", path=folder / "x", storage_acount="s")
    with pytest.raises(WebserviceException, match="tags is 'a'"):
        Workspace.create("x", path=folder / "x", tags="a")  # type: ignore[arg-type]
    with pytest.raises(WebserviceException, match="tags is 'a'"):
        ws.update(tags="a")  # type: ignore[arg-type]
    assert not (folder / "x").exists()


def test_get_with_v1s_parameters(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Workspace.create("team")
    got = Workspace.get("team", None, "s", "g", "westeurope", "AzureUSGovernment", "azure-guid")
    assert (got, got.location) == (made, "westeurope")
    assert capsys.readouterr().out == "Workspace.get: cloud, id are ignored; there are no Azure resources here\n"
    os.chdir("/")
    assert Workspace.get(id=made.folder.id) == made


def test_list_update_and_runs(folder: Path) -> None:
    one, two = Workspace.create("a", path="one", subscription_id="s"), Workspace.create("a", path="two")
    Workspace.create("b", path="three", subscription_id="other")
    assert Workspace.list("s") == {"a": [one, two]}
    assert set(Workspace.list()) == {"a", "b"}
    details = one.update(description="for churn", tags={"x": "y"})
    assert (details["description"], details["tags"]) == ("for churn", {"x": "y"})
    assert Workspace.get(path="one").get_details() == details
    assert (one.compute_targets, one.datastores) == ({}, {})
    run = Run.get_context(workspace=one)
    assert one.get_run(run.id).id == run.id == Run.get(one, run.id).id == Run(one, run_id=run.id).id
    run.complete()


@pytest.mark.parametrize("name", ["get_default_datastore", "get_default_keyvault", "get_default_compute_target"])
def test_a_method_that_needs_azure_names_a_replacement(folder: Path, name: str) -> None:
    with pytest.raises(UserErrorException, match=f"{name} needs Azure") as caught:
        getattr(Workspace(), name)()
    assert (caught.value.hint and "(" in caught.value.hint) or "os.environ" in caught.value.hint


def test_delete_removes_only_the_folder_of_the_workspace(folder: Path) -> None:
    ws = Workspace.create("team")
    (folder / "m.pkl").write_bytes(b"m")
    Model.register(ws, "m.pkl", "m")
    ws.folder.open_store().save_service(ServiceRecord(name="churn", target="local", compute_type="Local"))
    with pytest.raises(WorkspaceError, match="has services: churn"):
        ws.delete()
    assert Model(ws, "m").version == 1
    ws.folder.open_store().remove_service("churn")
    ws.delete()
    assert os.listdir(folder) == ["m.pkl"] and "team" not in Workspace.list()
    with pytest.raises(WorkspaceError, match="there is no workspace"):
        ws.delete()
    Model.register(ws, "m.pkl", "m")  # the next write creates it again
    assert Model(ws, "m").version == 1


def test_delete_refuses_a_folder_with_another_id(folder: Path) -> None:
    ws = Workspace.create("team")
    config = json.loads((folder / ".mldeploy" / "config.json").read_text())
    (folder / ".mldeploy" / "config.json").write_text(json.dumps({**config, "id": "other"}))
    with pytest.raises(WorkspaceError, match="is not deleted"):
        ws.delete()
    assert (folder / ".mldeploy" / "config.json").exists()
