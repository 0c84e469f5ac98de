"""The workspace's folder `.mldeploy/`: found, made, described, and listed for this user.

.mldeploy/config.json   id, name, store, artifacts, Azure settings
          store.db  artifacts/  deployments/<id>/  services/<name>/  bundles/<digest>/  runs/<id>/
"""

from __future__ import annotations

import errno
import json
import os
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mldeploy_jupyter.core.artifacts.artifact_store import ArtifactStore
from mldeploy_jupyter.core.errors import WorkspaceError
from mldeploy_jupyter.core.files import atomic_write, make_private_dir, search_folders, write_json
from mldeploy_jupyter.core.records import JsonRecord
from mldeploy_jupyter.core.store.store import Store
from mldeploy_jupyter.core.workspace import known_workspaces

Opened = TypeVar("Opened")

FOLDER = ".mldeploy"

VARIABLE = "MLDEPLOY_WORKSPACE"  # names the folder or its parent, for every command

_opened: dict[tuple[str, str], Any] = {}

_opening = threading.Lock()


@dataclass(frozen=True)
class WorkspaceConfig(JsonRecord):
    """What `config.json` says. `store` and `artifacts` may be relative to the folder."""

    id: str
    name: str
    store: str = "sqlite:///store.db"
    artifacts: str = "artifacts"
    subscription_id: str | None = None
    resource_group: str | None = None
    workspace_name: str | None = None  # the Azure workspace's own name, where it differs
    location: str | None = None
    friendly_name: str | None = None
    description: str | None = None
    tags: dict[str, Any] | None = None


@dataclass(frozen=True)
class WorkspaceFolder:
    """A workspace on disk. `root` is the `.mldeploy` folder itself, absolute."""

    root: Path
    config: WorkspaceConfig

    @property
    def id(self) -> str:
        return self.config.id

    @property
    def cells(self) -> Path:
        return self.root / "cells"

    @property
    def deployments(self) -> Path:
        return self.root / "deployments"

    @property
    def services(self) -> Path:
        return self.root / "services"

    @property
    def bundles(self) -> Path:
        return self.root / "bundles"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def store_url(self) -> str:
        """The store's URL with an absolute path."""
        url = self.config.store
        path = url.removeprefix("sqlite:///")
        if path == url or path.startswith("/"):
            return url
        return f"sqlite:///{self.root / path}"

    @property
    def artifacts_url(self) -> str:
        """The artifacts' URL, or an absolute path."""
        url = self.config.artifacts
        return url if "://" in url else str(self.root / url)

    def open_store(self) -> Store:
        """The store, opened once a process. Raises `StoreError`."""
        return self._once(self.store_url, Store)

    def open_artifacts(self) -> ArtifactStore:
        """The artifacts, opened once a process. Raises `StorageError`."""
        return self._once(self.artifacts_url, ArtifactStore)

    def with_config(self, **fields: Any) -> WorkspaceFolder:
        """Writes changed settings into `config.json`."""
        config = WorkspaceConfig.from_dict({**self.config.to_dict(), **fields})
        write_json(self.root / "config.json", _without_none(config))
        return WorkspaceFolder(self.root, config)

    def _once(self, url: str, make: type[Opened]) -> Opened:
        key = (self.config.id, make.__name__ + url)
        with _opening:
            if key not in _opened:
                _opened[key] = make(url)  # type: ignore[call-arg]
            opened: Opened = _opened[key]
            return opened


def find_workspace(
    start: Path | str | None = None, *, environ: Mapping[str, str] = os.environ
) -> WorkspaceFolder | None:
    """The workspace of `start`, or of the current directory: the nearest `.mldeploy/` upwards.

    Without `start`, the variable MLDEPLOY_WORKSPACE names the folder or its parent. The search ends at the
    home directory and at the border of the file system. Raises `WorkspaceError` when the variable names no workspace,
    when `config.json` cannot be read, or when the folder belongs to another user.
    """
    named = environ.get(VARIABLE)
    if start is None and named:
        folder = _at(Path(named).expanduser().absolute())
        if folder is None:
            raise WorkspaceError(
                f"{VARIABLE} names no workspace: {named}",
                why=f"there is no {FOLDER}/config.json in it",
                hint=f"mldeploy workspace create {named}, or unset {VARIABLE}",
            )
        return folder
    try:
        here = Path(start or ".").expanduser().absolute()
    except FileNotFoundError:
        raise WorkspaceError(
            "the current folder is gone",
            why="it was removed while this program stood in it",
            hint="change to a folder that exists: cd, or os.chdir(...)",
        ) from None
    if here.name == FOLDER and (here / "config.json").is_file():
        return load_workspace(here)
    for directory in search_folders(here):
        root = directory / FOLDER
        if (root / "config.json").is_file():
            _refuse_strangers(root)
            return load_workspace(root)
    return None


def load_workspace(root: Path) -> WorkspaceFolder:
    """The workspace whose `.mldeploy` folder is `root`. Raises `WorkspaceError`."""
    path = root / "config.json"
    try:
        data = json.loads(path.read_text("utf-8"))
        if not isinstance(data, dict):
            raise ValueError("it is not a JSON object")
        data = {"store": WorkspaceConfig.store, "artifacts": WorkspaceConfig.artifacts, **data}
        wrong = [key for key in ("id", "name", "store", "artifacts") if not isinstance(data.get(key), str)]
        if wrong:
            raise ValueError(f"missing or not a string: {', '.join(wrong)}")
    except (OSError, ValueError) as error:
        raise WorkspaceError(
            f"the workspace's settings cannot be read: {path}",
            why=str(error),
            hint='correct it: a JSON object with at least "id" and "name"',
        ) from error
    config = WorkspaceConfig.from_dict(data)
    return WorkspaceFolder(root.absolute(), config)


def create_workspace(
    path: Path | str = ".",
    *,
    name: str | None = None,
    store: str | None = None,
    artifacts: str | None = None,
    exist_ok: bool = False,
    **settings: Any,
) -> WorkspaceFolder:
    """Makes `.mldeploy/` in `path`, 0700. `name` defaults to the folder's; `settings` are those of `WorkspaceConfig`.

    With `exist_ok` a workspace that is there is given back as it is. Raises `WorkspaceError` when there is one, or
    when the folder cannot be made.
    """
    parent = Path(path).expanduser().absolute()
    root = parent if parent.name == FOLDER else parent / FOLDER
    config = WorkspaceConfig(
        id=str(uuid.uuid4()),
        name=name or root.parent.name or "workspace",
        store=store or WorkspaceConfig.store,
        artifacts=artifacts or WorkspaceConfig.artifacts,
        **settings,
    )
    try:
        try:
            make_private_dir(root)
        except FileExistsError as error:
            raise NotADirectoryError(errno.ENOTDIR, "a file is in the way", error.filename) from None
        root.chmod(0o700)
        if not (root / ".gitignore").exists():
            atomic_write(root / ".gitignore", "*\n")  # models and keys do not belong into a repository
        # `config.json` makes it a workspace; of two processes that begin at once one wins.
        write_json(root / "config.json", _without_none(config), exclusive=True)
    except FileExistsError:
        if not exist_ok:
            raise WorkspaceError(
                f"there is a workspace already: {root}",
                why="its config.json is there, and is not replaced",
                hint="use the one that is there, or pass exist_ok=True (--exist-ok) to be given it",
            ) from None
    except OSError as error:
        raise WorkspaceError(
            f"the workspace could not be made: {root}",
            why=error.strerror or str(error),
            hint="create it in a folder you may write in: mldeploy workspace create PATH",
        ) from error
    folder = load_workspace(root)
    known_workspaces.remember_root(folder.root)
    return folder


def ensure_workspace(
    start: Path | str | None = None,
    announce: Callable[[str], object] = print,
    *,
    name: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> WorkspaceFolder:
    """The workspace of `start`; where there is none it is made in `start` itself, and `announce` gets one line.

    `name` is for one that is made; it defaults to the folder's.
    """
    folder = find_workspace(start, environ=environ)
    if folder is None:
        folder = create_workspace(start or ".", name=name, exist_ok=True)
        announce(f"Created workspace {folder.config.name} in {folder.root}")
    else:
        known_workspaces.remember_root(folder.root)
    return folder


def delete_workspace(folder: WorkspaceFolder) -> None:
    """Deletes the folder `.mldeploy/` and drops it from the per-user list. Nothing beside it is touched.

    A store or artifacts elsewhere (a team's) stay. Raises `WorkspaceError` when the folder is not the one described.
    """
    import shutil

    if folder.root.name != FOLDER or folder.root.is_symlink() or load_workspace(folder.root).id != folder.id:
        raise WorkspaceError(
            f"the workspace is not deleted: {folder.root}",
            why=f"it is not a folder {FOLDER}/ with the id {folder.id}",
            hint="look it up again with Workspace.get() and delete that",
        )
    with _opening:
        for key in [key for key in _opened if key[0] == folder.id]:
            opened = _opened.pop(key)
            if isinstance(opened, Store):
                opened.close()
    try:
        # Without its settings it is no workspace: a kill half way leaves nothing that looks like one.
        (folder.root / "config.json").unlink()
        shutil.rmtree(folder.root)
    except OSError as error:
        raise WorkspaceError(
            f"the workspace could not be deleted whole: {folder.root}",
            why=error.strerror or str(error),
            hint=f"delete the rest by hand: rm -r {folder.root}",
        ) from error
    known_workspaces.drop_missing_roots()


def list_workspaces(*, index: Path | None = None) -> list[WorkspaceFolder]:
    """Every workspace this user has made or written to, by path."""
    folders = []
    for root in known_workspaces.list_roots(index=index):
        try:
            folders.append(load_workspace(root))
        except WorkspaceError:
            continue  # one broken workspace must not hide the others
    return folders


def _at(path: Path) -> WorkspaceFolder | None:
    for root in (path, path / FOLDER):
        if (root / "config.json").is_file() and (root.name == FOLDER or root == path / FOLDER):
            return load_workspace(root)
    return None


def _refuse_strangers(root: Path) -> None:
    # Whoever owns the folder decides what is unpickled here.
    if root.stat().st_uid != os.geteuid():
        raise WorkspaceError(
            f"the workspace belongs to another user: {root}",
            why="it was found by searching upwards, and its owner could make this program load any model",
            hint=f"if you trust it: export {VARIABLE}={root}",
        )


def _without_none(config: WorkspaceConfig) -> dict[str, Any]:
    return {key: value for key, value in config.to_dict().items() if value is not None}
