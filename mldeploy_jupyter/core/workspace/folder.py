"""Finds, creates, opens and deletes workspaces: folders named `.mldeploy/`.

.mldeploy/config.json   id, name, store, artifacts, Azure settings
          store.db  artifacts/  deployments/<id>/  services/<name>/  bundles/<digest>/  runs/<id>/
"""

from __future__ import annotations

import errno
import os
import shlex
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mldeploy_jupyter.core.artifacts.artifact_store import ArtifactStore
from mldeploy_jupyter.core.errors import MldeployError, WorkspaceError
from mldeploy_jupyter.core.files import (
    WORKSPACE_FOLDER,
    atomic_write,
    make_private_dir,
    read_json,
    search_folders,
    write_json,
)
from mldeploy_jupyter.core.json_record import JsonRecord
from mldeploy_jupyter.core.store.store import Store
from mldeploy_jupyter.core.workspace import access, known_workspaces
from mldeploy_jupyter.serving.system.removal import remove_tree

Opened = TypeVar("Opened")

FOLDER = WORKSPACE_FOLDER

VARIABLE = "MLDEPLOY_WORKSPACE"  # names the folder or its parent, instead of a search

MAX_OPENED = 64  # stores and artifacts that stay open; a store keeps up to six files open

# (workspace id, class name and URL) -> its open store or artifacts, the one that was asked for last at the end.
_opened: dict[tuple[str, str], Any] = {}

_opened_lock = threading.Lock()


@dataclass(frozen=True)
class WorkspaceConfig(JsonRecord):
    """The content of `config.json`. `store` and `artifacts` may be relative to the folder."""

    id: str
    name: str
    store: str = "sqlite:///store.db"
    artifacts: str = "artifacts"
    subscription_id: str | None = None
    resource_group: str | None = None
    workspace_name: str | None = None  # the Azure workspace's name, where it differs from `name`
    location: str | None = None
    friendly_name: str | None = None
    description: str | None = None
    tags: dict[str, Any] | None = None
    base_image: str | None = None  # of images whose service names none; {python} is replaced by the version
    image_registry: str | None = None  # where images are pushed, such as registry.example:5000/team


@dataclass(frozen=True)
class WorkspaceFolder:
    """A workspace on disk. `root` is the absolute path of its `.mldeploy` folder."""

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
        """The store's URL, with an absolute path."""
        url = self.config.store
        path = url.removeprefix("sqlite:///")
        if path == url or path.startswith("/"):
            return url
        return f"sqlite:///{self.root / path}"

    @property
    def artifacts_url(self) -> str:
        """The artifacts' URL or absolute path."""
        url = self.config.artifacts
        return url if "://" in url else str(self.root / url)

    def open_store(self) -> Store:
        """The store, which stays open; of many workspaces, those that were used last. Raises `StoreError`."""
        return self._open_once(self.store_url, Store)

    def open_artifacts(self) -> ArtifactStore:
        """The artifacts. Raises `StorageError`."""
        return self._open_once(self.artifacts_url, ArtifactStore)

    def with_config(self, **fields: Any) -> WorkspaceFolder:
        """Changes settings in `config.json` and returns the workspace with them. Raises `OSError`."""
        config = WorkspaceConfig.from_dict({**self.config.to_dict(), **fields})
        write_json(self.root / "config.json", _without_none(config))
        return WorkspaceFolder(self.root, config)

    def _open_once(self, url: str, make: type[Opened]) -> Opened:
        key = (self.config.id, make.__name__ + url)
        with _opened_lock:
            opened: Opened = _opened.pop(key, None) or make(url)  # type: ignore[call-arg]
            _opened[key] = opened  # the last one again
            while len(_opened) > MAX_OPENED:
                oldest = _opened.pop(next(iter(_opened)))
                if isinstance(oldest, Store):
                    oldest.close()  # it can still be used, and opens again
            return opened


def find_workspace(
    start: Path | str | None = None, *, environ: Mapping[str, str] = os.environ
) -> WorkspaceFolder | None:
    """The nearest `.mldeploy/` in `start` or a parent folder; None when there is none.

    Without `start`, it is the workspace that the variable MLDEPLOY_WORKSPACE names, or the one nearest to the current
    directory. The search ends at the home directory and at the border of the file system. Raises `WorkspaceError` when
    the variable names no workspace, when `config.json` cannot be read, when the folder belongs to another user and
    the variable does not name the folder `.mldeploy` itself, or when the folder where the search begins may not be
    looked into.
    """
    named = environ.get(VARIABLE)
    if start is None and named:
        folder = _load_named(Path(named).expanduser().absolute(), environ)
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
    access.check_searchable(here if here.name == FOLDER else here / FOLDER)
    roots = [directory / FOLDER for directory in search_folders(here)]
    for root in [here, *roots] if here.name == FOLDER else roots:
        if _is_workspace(root):
            _check_owner(root, environ)
            return load_workspace(root)
        if os.path.isfile(root / "store.db"):
            raise WorkspaceError(
                f"the workspace's settings are gone: {root / 'config.json'}",
                why="its store is there, and its services may be running",
                hint=f"make them again with `mldeploy workspace create {shlex.quote(str(root.parent))}`; "
                'a store or artifacts elsewhere are named in it as "store" and "artifacts"',
            )
    return None


def load_workspace(root: Path) -> WorkspaceFolder:
    """The workspace whose `.mldeploy` folder is `root`. Raises `WorkspaceError`."""
    path = root / "config.json"
    try:
        data = {"store": WorkspaceConfig.store, "artifacts": WorkspaceConfig.artifacts, **read_json(path)}
        wrong = [key for key in ("id", "name", "store", "artifacts") if not isinstance(data.get(key), str)]
        if wrong:
            raise ValueError(f"missing or not a string: {', '.join(wrong)}")
    except PermissionError as error:
        raise access.unreadable(path) from error
    except (OSError, ValueError) as error:
        raise WorkspaceError(
            f"the workspace's settings cannot be read: {path}",
            why=str(error),
            hint='correct it: a JSON object with at least "id" and "name"',
        ) from error
    return WorkspaceFolder(root.absolute(), WorkspaceConfig.from_dict(data))


def create_workspace(
    path: Path | str = ".",
    *,
    name: str | None = None,
    store: str | None = None,
    artifacts: str | None = None,
    exist_ok: bool = False,
    **settings: Any,
) -> WorkspaceFolder:
    """Creates `.mldeploy/` in `path`, with mode 0700. `name` defaults to the name of the folder around it.

    `settings` are further fields of `WorkspaceConfig`. With `exist_ok` an existing workspace is returned as it is.
    Raises `WorkspaceError` when one exists, or when the folder cannot be created.
    """
    parent = Path(path).expanduser().absolute()
    root = parent if parent.name == FOLDER else parent / FOLDER
    config = WorkspaceConfig(
        id=_find_former_id(root) or str(uuid.uuid4()),
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
        _check_owner(root)
        root.chmod(0o700)
        if not (root / ".gitignore").exists():
            atomic_write(root / ".gitignore", "*\n")  # models and keys do not belong in a repository
        # `config.json` makes it a workspace. Of two processes at once, one succeeds.
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
    """The workspace that `find_workspace` finds; otherwise a new one in `start`, which `announce` gets a line about.

    `name` is that of a new workspace. Raises what `find_workspace` and `create_workspace` raise.
    """
    folder = find_workspace(start, environ=environ)
    if folder is None:
        folder = create_workspace(start or ".", name=name, exist_ok=True)
        announce(f"Created workspace {folder.config.name} in {folder.root}")
    else:
        known_workspaces.remember_root(folder.root)
    return folder


def delete_workspace(folder: WorkspaceFolder) -> None:
    """Deletes the folder `.mldeploy/` and removes it from the user's list. A store or artifacts elsewhere stay.

    Raises `WorkspaceError` when the folder is a link or another workspace, or cannot be deleted.
    """
    if folder.root.name != FOLDER or folder.root.is_symlink() or load_workspace(folder.root).id != folder.id:
        raise WorkspaceError(
            f"the workspace is not deleted: {folder.root}",
            why=f"it is not a folder {FOLDER}/ with the id {folder.id}",
            hint="look it up again with Workspace.get() and delete that",
        )
    with _opened_lock:
        for key in [key for key in _opened if key[0] == folder.id]:
            opened = _opened.pop(key)
            if isinstance(opened, Store):
                opened.close()
    try:
        # The settings first: without them, what an interrupted deletion leaves is not a workspace.
        (folder.root / "config.json").unlink()
        if errors := remove_tree(folder.root):
            raise errors[0]
    except OSError as error:
        raise WorkspaceError(
            f"the workspace could not be deleted whole: {folder.root}",
            why=error.strerror or str(error),
            hint=f"delete the rest by hand: rm -r {folder.root}",
        ) from error
    known_workspaces.drop_missing_roots()


def list_workspaces(
    *,
    index: Path | None = None,
    roots: Iterable[Path] | None = None,
    on_broken: Callable[[WorkspaceError], object] = lambda error: None,
) -> list[WorkspaceFolder]:
    """Every workspace that this user has created or written to, by path, without those that belong to others now.

    With `roots`, folders `.mldeploy`, those instead. `on_broken` gets the error of each whose settings cannot be read.
    """
    folders = []
    for _, found in _load_all(index, roots):
        if isinstance(found, WorkspaceError):
            on_broken(found)  # it must not hide the others
        else:
            folders.append(found)
    return folders


def list_broken_workspaces(
    *, index: Path | None = None, roots: Iterable[Path] | None = None
) -> list[tuple[Path, WorkspaceError]]:
    """Those of the same workspaces whose settings cannot be read: the folder `.mldeploy` and why."""
    return [(root, found) for root, found in _load_all(index, roots) if isinstance(found, WorkspaceError)]


def _load_all(
    index: Path | None, roots: Iterable[Path] | None
) -> Iterator[tuple[Path, WorkspaceFolder | WorkspaceError]]:
    for root in known_workspaces.list_roots(index=index) if roots is None else roots:
        try:
            _check_owner(root)
        except (WorkspaceError, OSError):
            continue
        try:
            yield root, load_workspace(root)
        except WorkspaceError as error:
            yield root, error


def _find_former_id(root: Path) -> str:
    """The id that the workspace had before its settings were lost: its services have it."""
    path = root / "store.db"
    if not path.is_file():
        return ""
    try:
        store = Store(f"sqlite:///{path}")
        ids = {service.workspace_id for service in store.list_services()} - {""}
        store.close()
    except MldeployError:
        return ""
    return ids.pop() if len(ids) == 1 else ""


def _load_named(path: Path, environ: Mapping[str, str]) -> WorkspaceFolder | None:
    """The workspace whose folder, or the folder around it, is `path`."""
    access.check_searchable(path if path.name == FOLDER else path / FOLDER)
    for root in (path, path / FOLDER) if path.name == FOLDER else (path / FOLDER,):
        if _is_workspace(root):
            _check_owner(root, environ)
            return load_workspace(root)
    return None


def _is_workspace(root: Path) -> bool:
    # os.path, because `Path.is_file` raises an error for a folder that only others may look into.
    return os.path.isfile(root / "config.json")


def _check_owner(root: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Raises `WorkspaceError` for a folder or a link of another user, unless MLDEPLOY_WORKSPACE names this very folder.

    Its owner decides what this program unpickles, and where its orders go.
    """
    owners = {root.lstat().st_uid, root.stat().st_uid}
    trusted = environ.get(VARIABLE)
    if owners != {os.geteuid()} and (not trusted or Path(trusted).expanduser().absolute() != root):
        raise WorkspaceError(
            f"the workspace belongs to another user, {access.owner_name(max(owners - {os.geteuid()}))}: {root}",
            why="its owner could make this program load any model",
            hint=f"if you trust it: export {VARIABLE}={root}",
        )


def _without_none(config: WorkspaceConfig) -> dict[str, Any]:
    return {key: value for key, value in config.to_dict().items() if value is not None}
