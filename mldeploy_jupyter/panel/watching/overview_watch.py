"""Watches all known workspaces for lists, twice a second: with a few system calls while nothing changes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.files import file_version
from mldeploy_jupyter.core.workspace import known_workspaces
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.lists.rows import Row
from mldeploy_jupyter.panel.lists.workspace_rows import WorkspaceRows
from mldeploy_jupyter.panel.lists.workspaces import KnownWorkspace, describe_workspace, list_known
from mldeploy_jupyter.panel.watching.health import Health
from mldeploy_jupyter.panel.watching.watch import Tools, Watch, pause_after

UNSEEN_FACTOR = 4.0  # by which polling is slower while no view is visible
READ_FACTOR = 0.8  # a workspace is read at most once in that part of the time between two looks
LIST_SECONDS = 10.0  # after which the workspaces are listed again although no file says so
FIRST_SECONDS = 0.6  # that the first event waits for workspaces that are slow to read

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import ServiceRecord

_NONE: dict[str, Row] = {}

Key = tuple[str, str, str]  # service or model, workspace, name


class OverviewWatch(Watch):
    """Watches every workspace that the context knows. Each is read in a thread of its own, so none delays another."""

    def __init__(self, context: PanelContext, params: dict[str, Any], tools: Tools) -> None:
        super().__init__(tools)
        self._context = context
        self._sources: dict[str, _Source] = {}
        self._known_mark: object = None
        self._known_at = float("-inf")
        self._began_at = tools.clock()
        self._state: list[Any] = []
        self._sent: dict[Key, Row] = {}
        self._sent_workspaces: list[dict[str, Any]] = []
        self._known: dict[str, KnownWorkspace] | None = None

    def _look(self, now: float) -> float:
        if now >= self._known_at + LIST_SECONDS or self._mark_known() != self._known_mark:
            self._ask(self._list_known)
        if self._known is not None:
            self._adopt(self._known)
        for source in self._sources.values():
            source.look(now)
        waiting = any(source.is_new for source in self._sources.values()) or self._known is None
        if not waiting or now >= self._began_at + FIRST_SECONDS:
            self._send()
            wanted = min((view.poll_seconds for view in self.views), default=0.0)  # the most eager view's
            return now + max(self._tools.poll_seconds, wanted) * (1.0 if self.visible else UNSEEN_FACTOR)
        return now + FIRST_SECONDS / 4

    def close(self) -> None:
        for source in self._sources.values():
            source.close()
        self._sources.clear()

    def _mark_known(self) -> object:
        """Changes when a workspace is made, deleted or configured."""
        roots = [known.root for known in (self._known or {}).values()]
        marks: list[object] = []
        for path in (known_workspaces.index_path(), *(root / "config.json" for root in roots)):
            try:
                marks.append(file_version(self._tools.stat(path)))
            except OSError as error:
                marks.append(error.errno)
        return marks

    def _list_known(self) -> None:
        before, mark = self._known, self._mark_known()
        self._known, self._known_at = list_known(self._context), self._tools.clock()
        # The mark is of other files where the workspaces are others now; then they are listed once more.
        self._known_mark = mark if before is not None and list(before) == list(self._known) else None

    def _adopt(self, known: dict[str, KnownWorkspace]) -> None:
        """Makes a source for each workspace; one whose settings have changed gets a new one."""
        for id, source in list(self._sources.items()):
            if id not in known or known[id].folder != source.known.folder:
                source.close()
                del self._sources[id]
        for id, found in known.items():
            if id not in self._sources:
                self._sources[id] = _Source(self._context, found, self._tools, self._hurry)

    def _hurry(self) -> None:
        self._was_answered = True
        self._tools.wake()

    def _send(self) -> None:
        # The same objects as last time, and no new view: the usual case.
        state: list[Any] = [
            part
            for one in self._sources.values()
            for part in (one.known, one.is_new, one.services, one.models, one.error)
        ]
        same = len(state) == len(self._state) and all(map(operator.is_, state, self._state))
        if same and not any(view.is_new for view in self.views):
            return
        self._state = state
        # Before the rows: what is read meanwhile is not called read before its rows are sent.
        workspaces = [
            describe_workspace(self._context, one.known, one.error, one.is_new) for one in self._sources.values()
        ]
        rows: dict[Key, Row] = {}
        for id, source in self._sources.items():
            rows |= {("service", id, name): row for name, row in source.services.items()}
            rows |= {("model", id, name): row for name, row in source.models.items()}
        changed = {key: row for key, row in rows.items() if (old := self._sent.get(key)) is not row and old != row}
        gone = [key for key in self._sent if key not in rows]
        moved = workspaces != self._sent_workspaces
        self._sent, self._sent_workspaces = rows, workspaces
        event: dict[str, Any] = _by_kind(changed)
        if gone:
            event["gone"] = [{"kind": kind, "workspace": workspace, "name": name} for kind, workspace, name in gone]
        if moved:
            event["workspaces"] = workspaces
        whole: dict[str, Any] | None = None
        for view in self.views:
            if view.is_new:
                view.is_new = False
                whole = whole or {"whole": True, "workspaces": workspaces, "services": [], "models": [],
                                  **_by_kind(rows)}  # fmt: skip
                view.send(whole)
            elif event:
                view.send(event)


def _by_kind(rows: dict[Key, Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for (kind, _, _), row in rows.items():
        found.setdefault(f"{kind}s", []).append(row)
    return found


class _Source:
    """One workspace. What may have to wait, for its store or a service, runs in a thread of its own.

    A workspace that cannot be read keeps the rows that it had, and is tried again ever more seldom.
    """

    def __init__(self, context: PanelContext, known: KnownWorkspace, tools: Tools, hurry: Callable[[], None]) -> None:
        self.known = known
        self.error: Exception | None = None
        self.is_new = known.folder is not None  # whether it was not read yet
        self._tools, self._on_read = tools, hurry
        self._health = Health(known.folder, tools.clock) if known.folder is not None else None
        health = self._health.state if self._health is not None else lambda name: ""
        self._rows = WorkspaceRows(known.folder, tools.clock, health) if known.folder is not None else None
        self._busy: set[str] = set()  # what runs in a thread
        self._errors, self._read_at = 0, float("-inf")
        self._is_closed = False

    @property
    def services(self) -> dict[str, Row]:
        return self._rows.services if self._rows is not None else _NONE

    @property
    def models(self) -> dict[str, Row]:
        return self._rows.models if self._rows is not None else _NONE

    def look(self, now: float) -> None:
        """Begins what is due."""
        if self._rows is None or self._health is None or self._is_closed:
            return
        if "rows" not in self._busy and now >= self._read_at and self._rows.is_due():
            self._read_at = now + self._tools.poll_seconds * READ_FACTOR
            self._run("rows", self._refresh)
        running, ended = self._rows.running, self._rows.ended
        if "health" not in self._busy and self._health.is_due(now, running, ended):
            records = self._rows.records
            known = [[records[name] for name in names if name in records] for names in (running, ended)]
            self._run("health", partial(self._ask_health, *known))

    def close(self) -> None:
        """Ends it; what still runs in a thread ends by itself."""
        self._is_closed = True
        if self._rows is not None and "rows" not in self._busy:
            self._rows.close()

    def _refresh(self) -> None:
        assert self._rows is not None
        try:
            self._rows.refresh()
            self.error, self._errors = None, 0
        except Exception as error:  # a store that is unavailable, or whatever it is: no other workspace suffers
            self.error = error
            self._errors += 1
            self._read_at = self._tools.clock() + pause_after(self._errors)
        self.is_new = False

    def _ask_health(self, running: list[ServiceRecord], ended: list[ServiceRecord]) -> None:
        assert self._rows is not None and self._health is not None
        if self._health.ask_next(running, ended):
            self._rows.hurry()

    def _run(self, what: str, run: Callable[[], None]) -> None:
        self._busy.add(what)

        def work() -> None:
            try:
                run()
            finally:
                self._busy.discard(what)
                if self._is_closed and what == "rows" and self._rows is not None:
                    self._rows.close()
                self._on_read()

        self._tools.ask(work)
