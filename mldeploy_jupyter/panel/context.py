"""What the answers depend on apart from their parameters: the workspaces, the notebook's extras, the clock."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mldeploy_jupyter.core.errors import WorkspaceError
from mldeploy_jupyter.panel.scripts import FolderScripts, Scripts

if TYPE_CHECKING:
    from mldeploy_jupyter.api.workspace import Workspace
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


Kept = TypeVar("Kept")

KEPT = 16  # indexes of logs; one of 100,000 lines takes 1.6 MB


def known_workspaces() -> list[Workspace]:
    """Every workspace that this user has created or written to."""
    from mldeploy_jupyter.api.workspace import Workspace

    return [workspace for named in Workspace.list().values() for workspace in named]


def broken_workspaces() -> list[tuple[Path, WorkspaceError]]:
    """Every workspace of this user whose settings cannot be read: its folder `.mldeploy` and why."""
    from mldeploy_jupyter.core.workspace.folder import list_broken_workspaces

    return list_broken_workspaces()


def _same_text(text: str) -> str:
    return text


def _same_cell(file: str, number: int | None) -> int | None:
    return number


@dataclass
class PanelContext:
    """Where a port is bound, and what it knows about the front end that it serves.

    `own` is the workspace of requests that name none; None where the port is bound to no workspace. `known` returns
    the workspaces that may be named by their id, `broken` those whose settings cannot be read. `words` turns a hint
    into the words of the place: a notebook says `%mldeploy` where a shell says `mldeploy`. `cell_number` gets the path
    of a script and the number that the prompt of its cell had then, and returns the number in the prompt now, None
    when that is not known. `scripts` has the entry scripts that a form offers. `now` is the time with its zone,
    `timezone` that of the times in messages, by default the local one.
    """

    own: Workspace | None = None
    known: Callable[[], Iterable[Workspace]] = known_workspaces
    broken: Callable[[], Iterable[tuple[Path, WorkspaceError]]] = broken_workspaces
    words: Callable[[str], str] = _same_text
    cell_number: Callable[[str, int | None], int | None] = _same_cell
    scripts: Scripts = field(default_factory=FolderScripts)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    timezone: tzinfo | None = None
    _opened: dict[str, Workspace] = field(default_factory=dict, repr=False)
    _kept: OrderedDict[tuple[str, ...], Any] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def workspace(self, id: str = "") -> Workspace:
        """The workspace with this id, by default the port's own. Raises `WorkspaceError` when there is none."""
        own = self.own
        folder = own.find_folder() if own is not None else None
        if own is not None and folder is not None and id in ("", folder.id):
            return own
        if not id:
            raise WorkspaceError(
                "there is no workspace here yet",
                why="nothing was deployed or registered here",
                hint=self.words("create one with `mldeploy workspace create`, or name one"),
                code="WorkspaceNotFound",
            )
        if id in self._opened and not self._opened[id].folder.root.is_dir():  # it was deleted
            del self._opened[id]
        if id not in self._opened:
            self._opened |= {found.id: each for each in self.known() if (found := each.find_folder()) is not None}
        if id not in self._opened:
            raise WorkspaceError(
                f"there is no workspace with the id {id}",
                why="it was deleted, or belongs to another user or machine",
                hint=self.words("see yours with `mldeploy workspace list`"),
                code="WorkspaceNotFound",
            )
        return self._opened[id]

    def folder(self, id: str = "") -> WorkspaceFolder:
        """The folder of that workspace. Raises `WorkspaceError`."""
        return self.workspace(id).folder

    def kept(self, key: tuple[str, ...], make: Callable[[], Kept]) -> Kept:
        """What `make` returned for this key before, such as the index of a log; the last 16 are kept."""
        with self._lock:
            found: Kept = self._kept.pop(key) if key in self._kept else make()
            self._kept[key] = found
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return found

    def time(self) -> str:
        """The time now, as the protocol has it: `2026-01-31T12:00:00.000Z`."""
        return self.now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
