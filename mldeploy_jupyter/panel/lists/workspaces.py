"""The workspaces that this user knows, also those of which nothing can be read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import WorkspaceError
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.failures import describe_error

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


@dataclass(frozen=True)
class KnownWorkspace:
    """A workspace's folder `.mldeploy`, and what is in it; without `folder`, `error` says why it cannot be read."""

    root: Path
    folder: WorkspaceFolder | None
    current: bool = False
    error: Exception | None = None

    @property
    def id(self) -> str:
        """Its own id; one made from its path when that cannot be read."""
        return self.folder.id if self.folder is not None else hashlib.sha256(bytes(self.root)).hexdigest()[:32]


def list_known(context: PanelContext) -> dict[str, KnownWorkspace]:
    """The workspaces by id, the port's own first."""
    found: dict[str, KnownWorkspace] = {}

    def add(known: KnownWorkspace) -> None:
        found.setdefault(known.id, known)

    if context.own is not None:
        try:
            folder = context.own.find_folder()
        except WorkspaceError:
            folder = None
        if folder is not None:
            add(KnownWorkspace(folder.root, folder, current=True))
    for workspace in context.known():
        folder = workspace.find_folder()
        if folder is not None:
            add(KnownWorkspace(folder.root, folder))
    for root, error in context.broken():
        add(KnownWorkspace(root, None, error=error))
    return found


def describe_workspace(
    context: PanelContext, known: KnownWorkspace, error: Exception | None, reading: bool = False
) -> dict[str, Any]:
    """A workspace as the protocol's `WorkspaceSummary`; `error` says why its services and models cannot be read.

    `reading` says that nothing of it has been read yet, so that its services do not look deleted, nor new afterwards.
    """
    reason = known.error or error
    return {
        "workspace": known.id,
        "title": known.folder.config.name if known.folder is not None else known.root.parent.name,
        "folder": str(known.root.parent),
        "current": known.current,
        "reading": reading,
        "failure": describe_error(reason, context) if reason is not None else None,
    }
