from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mldeploy_jupyter.api.model import Model
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core.errors import WorkspaceError

AZURE = {"subscription_id": "s", "resource_group": "g", "workspace_name": "azure-name"}


def test_create_get_and_details(folder: Path) -> None:
    made = Workspace.create("team", None, "sub", "group", "westeurope")
    assert made.name == "team" and made.location == "westeurope"
    again = Workspace.get()
    assert again == made == Workspace() == Workspace.get("team") == Workspace.create(exist_ok=True)
    assert again.get_details() == {
        "id": again._folder.config.id,
        "name": "team",
        "path": f"{folder}/.mldeploy",
        "store": f"sqlite:///{folder}/.mldeploy/store.db",
        "artifacts": f"{folder}/.mldeploy/artifacts",
        "subscription_id": "sub",
        "resource_group": "group",
        "workspace_name": None,
        "location": "westeurope",
    }
    assert repr(again) == f"Workspace(name='team', path='{folder}/.mldeploy')"


def test_a_password_is_not_shown(folder: Path) -> None:
    made = Workspace.create(store="postgresql+psycopg://me:secret@host/db")
    assert "secret" not in json.dumps(made.get_details()) + repr(made)


def test_a_known_workspace_is_found_by_name_from_anywhere(folder: Path) -> None:
    name = f"far-{folder.name}"
    made = Workspace.create(name, path=folder / "far")
    (folder / "here").mkdir()
    os.chdir(folder / "here")
    assert Workspace.get(name) == made
    Workspace.create(name, path=folder / "twin")
    with pytest.raises(WorkspaceError, match="more than one"):
        Workspace.get(name)


def test_reads_make_nothing_and_the_first_write_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    assert ws._folder.root == folder / ".mldeploy"
    assert "Created workspace" in capsys.readouterr().out
    again = Workspace.from_config(str(folder / ".azureml" / "config.json"))
    assert again._folder == ws._folder and again.subscription_id == "s"
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


def test_the_errors(folder: Path, snapshot) -> None:
    texts = []
    for call in (
        lambda: Workspace.get(),
        lambda: Workspace.from_config(),
        lambda: Workspace.from_config("nowhere"),
        lambda: Workspace.get("x", path=folder),
    ):
        with pytest.raises(WorkspaceError) as caught:
            call()
        texts.append(str(caught.value).replace(str(folder), "FOLDER"))
    with pytest.raises(WorkspaceError, match="there is no workspace 'nobody'"):
        Workspace.get("nobody")
    assert texts == snapshot


@pytest.mark.parametrize("name", ["with space", "100%", "a%20b", "what?", "x#y", "größe", "a;b&c=d", "-n"])
def test_a_folder_of_any_name_will_do(folder: Path, name: str) -> None:
    (folder / "m.pkl").write_bytes(b"m")
    ws = Workspace.create(path=folder / name, artifacts=(folder / name / "bytes").as_uri())
    assert Model.register(ws, folder / "m.pkl", "m").version == 1
    assert Model(Workspace.get(path=folder / name), "m").download(str(folder / "out"))
    assert sorted(os.listdir(folder / name / ".mldeploy")) == [".gitignore", "config.json", "store.db"]
    assert sorted(os.listdir(folder / name)) == [".mldeploy", "bytes"]
