"""The workspaces this user has made or used: found by name, listed, deleted."""

from __future__ import annotations

import shlex
from pathlib import Path

from mldeploy_jupyter.core import workspace as folders
from mldeploy_jupyter.core.errors import WorkspaceError
from mldeploy_jupyter.core.workspace import WorkspaceFolder


def by_id(id: str) -> WorkspaceFolder | None:
    return next((folder for folder in folders.known_workspaces() if folder.id == id), None)


def by_name(name: str) -> WorkspaceFolder:
    """The one known workspace of that name. Raises `WorkspaceError` for none and for several."""
    known = folders.known_workspaces()
    found = [folder for folder in known if folder.config.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise WorkspaceError(
            f"more than one workspace has the name {name!r}",
            why=", ".join(str(folder.root) for folder in found),
            hint=f"name its folder, such as {found[0].root.parent}",
        )
    names = ", ".join(sorted({folder.config.name for folder in known})) or "none"
    raise WorkspaceError(
        f"there is no workspace {name!r}",
        why=f"known workspaces: {names}",
        hint=f"mldeploy workspace create -n {shlex.quote(name)}",
    )


def none_here(start: Path) -> WorkspaceError:
    return WorkspaceError(
        f"there is no workspace in {start.absolute()} or above it",
        why="neither .mldeploy/ nor .azureml/config.json was found",
        hint="Workspace.create(), or mldeploy workspace create",
    )


def delete(folder: WorkspaceFolder) -> None:
    """Deletes the folder `.mldeploy/`. Raises `WorkspaceError` while the workspace has services."""
    services = sorted(record.name for record in folder.open_store().list_services())
    if services:
        raise WorkspaceError(
            f"the workspace {folder.config.name} has services: {', '.join(services)}",
            why="deleting it would leave their processes without an owner",
            hint=f"mldeploy service delete -n {services[0]}",
        )
    folders.remove(folder)
