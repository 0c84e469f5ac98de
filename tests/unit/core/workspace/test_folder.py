"""The workspace's folder is found as git finds its own, made once, and listed for its user."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import MldeployError, WorkspaceError
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.core.workspace.folder import create_workspace, ensure_workspace, find_workspace, list_workspaces

NOBODY = 65534  # the number of Debian's user who owns nothing


def no_announcement(line: str) -> None:
    pytest.fail(f"nothing was to be made: {line}")


def test_a_workspace_is_private(folder: Path) -> None:
    before = os.umask(0)
    try:
        made = create_workspace()
        made.open_store()
        made.open_artifacts()
    finally:
        os.umask(before)
    modes = {path.relative_to(folder).as_posix(): oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*")}
    assert modes == {
        ".mldeploy": "0o700",
        ".mldeploy/.gitignore": "0o600",
        ".mldeploy/artifacts": "0o700",
        ".mldeploy/config.json": "0o600",
        ".mldeploy/store.db": "0o600",
        ".mldeploy/store.db.reserve": "0o600",
        ".mldeploy/store.db-shm": "0o600",
        ".mldeploy/store.db-wal": "0o600",
    }
    assert json.loads((folder / ".mldeploy/config.json").read_text()) == {
        "id": made.config.id,
        "name": folder.name,
        "store": "sqlite:///store.db",
        "artifacts": "artifacts",
    }


def test_a_workspace_is_found_from_folders_below(folder: Path) -> None:
    deep = folder / "a" / "b"
    deep.mkdir(parents=True)
    assert find_workspace(deep) is None
    made = create_workspace(folder)
    assert (
        find_workspace(deep)
        == find_workspace(folder)
        == find_workspace()
        == find_workspace(folder / ".mldeploy")
        == made
    )
    inner = create_workspace(folder / "a")
    assert find_workspace(deep) == inner
    assert find_workspace(folder) == made


def test_a_folder_without_settings_is_no_workspace(folder: Path) -> None:
    (folder / ".mldeploy").mkdir()
    assert find_workspace() is None
    assert create_workspace().root == folder / ".mldeploy"


def test_the_search_ends_at_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_workspace(folder)
    home = folder / "home"
    (home / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    assert find_workspace(home / "work") is None
    assert find_workspace(folder) is not None
    made = create_workspace(home)
    assert find_workspace(home / "work") == made


def test_the_variable_names_the_folder_or_its_parent(folder: Path) -> None:
    here, there = create_workspace(folder / "here"), create_workspace(folder / "there")
    for value in (folder / "there", folder / "there" / ".mldeploy"):
        assert find_workspace(environ={"MLDEPLOY_WORKSPACE": str(value)}) == there
    assert find_workspace(folder / "here", environ={"MLDEPLOY_WORKSPACE": str(there.root)}) == here
    assert find_workspace(environ={"MLDEPLOY_WORKSPACE": ""}) is None


def test_another_users_workspace_above_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = create_workspace(folder)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(WorkspaceError, match="belongs to another user"):
        find_workspace(folder)
    assert find_workspace(environ={"MLDEPLOY_WORKSPACE": str(made.root)}) == made


def test_another_users_workspace_is_not_used_whatever_way_it_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create_workspace(folder / "theirs")
    (folder / "link").symlink_to(folder / "theirs")
    (folder / "ours").mkdir()
    (folder / "ours" / ".mldeploy").symlink_to(made.root)
    assert list_workspaces() == [made]
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    for place in ("theirs", "theirs/.mldeploy", "link", "link/.mldeploy", "ours", "ours/.mldeploy"):
        with pytest.raises(WorkspaceError, match="belongs to another user"):
            find_workspace(folder / place)
        os.chdir(folder / place)
        with pytest.raises(WorkspaceError, match="belongs to another user"):
            find_workspace()
        os.chdir(folder)
    with pytest.raises(WorkspaceError, match="belongs to another user"):
        find_workspace(environ={"MLDEPLOY_WORKSPACE": str(folder / "theirs")})  # not the folder itself
    with pytest.raises(WorkspaceError, match="belongs to another user"):
        create_workspace(folder / "theirs", exist_ok=True)
    assert list_workspaces() == []


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """This process with the rights of a user who owns nothing."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
    yield
    if os.getuid() == 0:
        os.seteuid(0)


@pytest.mark.parametrize("closed", [".", "theirs", "theirs/.mldeploy"])
@pytest.mark.parametrize("way", ["path", "path of .mldeploy", "variable", "current folder"])
def test_a_workspace_that_may_not_be_read_is_said_to_be_there(
    closed: str, way: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    base = Path(tempfile.mkdtemp(prefix="mldeploy-test-"))  # pytest's own folders are closed to others
    try:
        base.chmod(0o755)
        made = create_workspace(base / "theirs")
        monkeypatch.chdir(base / "theirs")
        (base / "theirs").chmod(0o755)
        (base / closed).chmod(0o700 if os.geteuid() == 0 else 0)
        request.getfixturevalue("as_nobody")
        start, environ = {
            "path": (base / "theirs", {}),
            "path of .mldeploy": (made.root, {}),
            "variable": (None, {"MLDEPLOY_WORKSPACE": str(base / "theirs")}),
            "current folder": (None, {}),
        }[way]
        with pytest.raises(WorkspaceError, match="cannot be read") as caught:
            find_workspace(start, environ=environ)
        whose = "another user, root" if os.getuid() == 0 else "chmod u\\+rwX"
        assert re.search(whose, str(caught.value))
        assert f"permission denied for {base / closed}" in str(caught.value)
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        (base / closed).chmod(0o700)
        shutil.rmtree(base)


def test_the_owner_of_a_workspace_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_workspace(folder)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(WorkspaceError, match=f"belongs to another user, {pwd.getpwuid(os.getuid()).pw_name}: "):
        find_workspace(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_link_of_another_user_is_not_followed(folder: Path) -> None:
    made = create_workspace(folder / "ours")
    link = folder / ".mldeploy"
    link.symlink_to(made.root)
    assert find_workspace(folder) is not None
    os.lchown(link, 12345, -1)
    with pytest.raises(WorkspaceError, match="belongs to another user"):
        find_workspace(folder)


def test_ensure_workspace_creates_and_announces_it_once(folder: Path) -> None:
    said: list[str] = []
    made = ensure_workspace(announce=said.append)
    assert said == [f"Created workspace {folder.name} in {folder}/.mldeploy"]
    assert ensure_workspace(announce=no_announcement) == made
    (folder / "sub").mkdir()
    assert ensure_workspace(folder / "sub", announce=no_announcement) == made


def test_store_and_artifacts_may_be_relative_absolute_or_urls(folder: Path) -> None:
    made = create_workspace("a")
    assert made.store_url == f"sqlite:///{folder}/a/.mldeploy/store.db"
    assert made.artifacts_url == f"{folder}/a/.mldeploy/artifacts"
    made = create_workspace("b", store="sqlite:////elsewhere/s.db", artifacts="/elsewhere/a")
    assert (made.store_url, made.artifacts_url) == ("sqlite:////elsewhere/s.db", "/elsewhere/a")
    made = create_workspace("c", store="postgresql+psycopg://h/d", artifacts="memory://a")
    assert (made.store_url, made.artifacts_url) == ("postgresql+psycopg://h/d", "memory://a")
    assert (made.deployments, made.services, made.bundles) == tuple(
        folder / "c/.mldeploy" / name for name in ("deployments", "services", "bundles")
    )


def test_store_and_artifacts_are_opened_once(folder: Path) -> None:
    made = create_workspace()
    assert made.open_store() is find_workspace().open_store()  # type: ignore[union-attr]
    assert made.open_artifacts() is made.open_artifacts()
    assert create_workspace("other").open_store() is not made.open_store()


def test_errors_of_workspaces(folder: Path, snapshot) -> None:
    create_workspace("there")
    (folder / "broken" / ".mldeploy").mkdir(parents=True)
    (folder / "file").write_text("")
    config = folder / "broken" / ".mldeploy" / "config.json"
    texts = []

    def fail(call, *arguments, **more) -> None:
        with pytest.raises(WorkspaceError) as caught:
            call(*arguments, **more)
        texts.append(str(caught.value).replace(str(folder), "FOLDER"))

    fail(create_workspace, "there")
    fail(create_workspace, "file/x")
    fail(find_workspace, environ={"MLDEPLOY_WORKSPACE": f"{folder}/nowhere"})
    for content in ("{", "[]", '{"id": "x"}', '{"id": "x", "name": 5}'):
        config.write_text(content)
        fail(find_workspace, folder / "broken")
    assert texts == snapshot


def test_a_removed_current_folder_is_explained(folder: Path) -> None:
    from mldeploy_jupyter.api.webservices import InferenceConfig

    gone = folder / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    with pytest.raises(WorkspaceError, match="the current folder is gone"):
        find_workspace()
    with pytest.raises(MldeployError, match="the current folder is gone"):
        InferenceConfig("score.py")


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"id": 5, "name": []}', "[" * 3000, "\0"])
def test_a_workspace_with_damaged_settings_is_reported_and_hides_no_other(folder: Path, content: str) -> None:
    made = [create_workspace(folder / name) for name in ("one", "two")]
    (made[0].root / "config.json").write_text(content)
    broken: list[WorkspaceError] = []
    assert list_workspaces(on_broken=broken.append) == [made[1]]
    with pytest.raises(WorkspaceError) as error:
        find_workspace(folder / "one")
    assert str(made[0].root / "config.json") in error.value.what == broken[0].what


def test_a_workspace_whose_settings_are_gone_gets_them_back_with_its_id(folder: Path) -> None:
    made = create_workspace(folder / "one")
    store = made.open_store()
    store.save_service(ServiceRecord("svc", workspace_id=made.id))
    (made.root / "config.json").unlink()
    broken: list[WorkspaceError] = []
    assert list_workspaces(on_broken=broken.append) == [] and len(broken) == 1
    with pytest.raises(WorkspaceError, match="settings are gone") as error:
        find_workspace(folder / "one")
    assert f"mldeploy workspace create {folder / 'one'}" in error.value.hint
    again = create_workspace(folder / "one")
    assert again.id == made.id and list_workspaces() == [again]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files with /proc")
def test_a_process_that_sees_many_workspaces_keeps_few_files_open(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mldeploy_jupyter.core.workspace.folder.MAX_OPENED", 4)
    first = create_workspace(folder / "first")
    store = first.open_store()
    before = len(os.listdir("/proc/self/fd"))
    for number in range(12):
        create_workspace(folder / f"{number}").open_store()
    assert len(os.listdir("/proc/self/fd")) - before <= 4 * 3  # database, log, index
    store.save_service(ServiceRecord("svc", "local"))  # it was closed meanwhile
    assert first.open_store().get_service("svc") is not None
    store.close()
