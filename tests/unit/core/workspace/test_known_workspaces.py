"""The list of the workspaces that a user has created or written to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mldeploy_jupyter.core.workspace import known_workspaces
from mldeploy_jupyter.core.workspace.folder import create_workspace, ensure_workspace, list_workspaces
from mldeploy_jupyter.core.workspace.known_workspaces import remember_root


def test_the_list_keeps_existing_workspaces_only(folder: Path) -> None:
    index = folder / "index" / "workspaces.json"
    made = [create_workspace(folder / name) for name in ("b", "a")]
    for one in (*made, made[0]):
        remember_root(one.root, index=index)
    assert list_workspaces(index=index) == [made[1], made[0]]
    (folder / "a" / ".mldeploy" / "config.json").unlink()
    assert list_workspaces(index=index) == [made[0]]
    assert json.loads(index.read_text()) == [str(made[0].root)]
    (made[0].root / "config.json").write_text("broken")
    assert list_workspaces(index=index) == []
    index.write_text("broken")
    assert list_workspaces(index=index) == []
    remember_root(made[0].root, index=index)
    assert json.loads(index.read_text()) == [str(made[0].root)]


def test_a_list_that_cannot_be_written_is_no_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("MLDEPLOY_HOME", str(folder / "file"))
    assert ensure_workspace(announce=lambda line: None).root.is_dir()
    assert list_workspaces() == []


@pytest.mark.parametrize("content", ["", "[", '{"a": 1}', "[1, null]", '["a\\u0000b"]', "[" * 3000])
def test_a_damaged_list_is_put_aside_and_stays_noticed(folder: Path, content: str) -> None:
    create_workspace(folder / "one")
    index = known_workspaces.index_path()
    assert known_workspaces.find_damaged_index() is None
    index.write_text(content)
    assert known_workspaces.find_damaged_index() == index and list_workspaces() == []
    create_workspace(folder / "two")
    assert [found.config.name for found in list_workspaces()] == ["two"]
    aside = known_workspaces.find_damaged_index()
    assert aside is not None and aside.read_text() == content
