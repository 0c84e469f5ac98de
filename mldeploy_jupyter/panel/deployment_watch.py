"""Watches a deployment: its journal ten times a second while it runs, and not at all once it has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.core.journal.journal import Event, JournalReader, parse_events
from mldeploy_jupyter.core.journal.timeline import END_STATES
from mldeploy_jupyter.core.records import DeploymentRecord
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.deployments import (
    Deployment,
    apply_events,
    describe_timeline,
    end_by_record,
    find_deployment,
    first_timeline,
    open_journal,
)
from mldeploy_jupyter.panel.log_lines import Line, batches, journal_line
from mldeploy_jupyter.panel.watch import NEVER, Tools, View, Watch

POLL_SECONDS = 0.1  # between two looks at the journal's size
TIMELINE_SECONDS = 0.25  # at least, between two timelines
SILENT_SECONDS = 2.0  # without an event, after which the runner is checked
READ_BYTES = 2_000_000  # of the journal at one look, so that a long one keeps no other view waiting
RING_LINES = 100_000  # of the backlog that a new view is sent; older ones are counted as lost, and can be asked for


class DeploymentWatch(Watch):
    """Watches the deployment that the parameters name. Raises as `find_deployment`."""

    def __init__(self, context: PanelContext, params: dict[str, Any], tools: Tools) -> None:
        super().__init__(tools)
        self._context = context
        self._found: Deployment = find_deployment(context, params["deployment"], params.get("workspace", ""))
        self._path: Path = deployment.journal_path(self._found.folder, self._found.record.id)
        self._reader = JournalReader(self._path)
        self._timeline = first_timeline(self._found)
        self._archived: list[Event] | None = None  # of a journal that this machine no longer has, or never had
        self._backlogs: dict[View, _Backlog] = {}
        self._is_dirty = False
        self._timeline_at = self._event_at = self._checked_at = tools.clock()
        self._record: DeploymentRecord | None = None  # as the last check of the runner found it

    def _look(self, now: float) -> float:
        behind = self._read(now)
        self._send_lines()
        self._send_timelines(now, hurry=self._timeline.ended and not behind)
        for view in [view for view in self._backlogs if view not in self.views]:
            del self._backlogs[view]
        if behind or self._backlogs:
            return now
        if self._timeline.ended:
            return NEVER if not self._is_dirty else now
        if now - max(self._event_at, self._checked_at) >= SILENT_SECONDS:
            self._checked_at = now
            self._ask(self._check_runner)
        return now + POLL_SECONDS

    def _read(self, now: float) -> bool:
        """Applies new events. True while there is more to read at once."""
        size = self._size()
        if size == self._reader.offset:
            self._end_by_record()
            return False
        events = self._reader.read(READ_BYTES)
        self._apply(events, now)
        return self._reader.offset < size

    def _size(self) -> int:
        try:
            return int(self._tools.stat(self._path).st_size)
        except FileNotFoundError:
            return 0

    def _apply(self, events: list[Event], now: float) -> None:
        if not events:
            return
        self._event_at = now
        self._is_dirty = True
        apply_events(self._timeline, events)
        lines = [line for event in events if (line := journal_line(event, self._timeline.started)) is not None]
        for view in self.views:
            if not view.is_new and view not in self._backlogs:
                _send(view, lines)

    def _end_by_record(self) -> None:
        """Where the journal has no end although the deployment has: reads the archived one, then takes the record's."""
        record = self._record or self._found.record
        if self._timeline.ended or record.state not in END_STATES:
            return
        if not self._timeline.seq and self._archived is None:
            with open_journal(self._found) as journal:
                self._archived = list(parse_events(journal))
            self._apply(self._archived, self._event_at)
        end_by_record(self._timeline, record)
        self._is_dirty = True

    def _check_runner(self) -> None:
        """Records the end of a deployment whose runner died, and notes what the store says."""
        found = deployment.refresh_deployment(self._found.folder, self._found.record.id)
        if found is not None and found.state != "running":
            self._record = found

    def _send_lines(self) -> None:
        """Sends what a view that came later, or again, has not got yet."""
        for view in self.views:
            if view.is_new:
                self._backlogs[view] = _Backlog(self._reader.offset, JournalReader(self._path), self._archived)
        for view, backlog in list(self._backlogs.items()):
            if view.is_new:
                view.send({"timeline": self._describe()})
                view.is_new = False
            lines = backlog.read(self._timeline.started)
            kept = lines[-RING_LINES:]
            _send(view, kept)
            if backlog.is_done:
                del self._backlogs[view]

    def _send_timelines(self, now: float, hurry: bool) -> None:
        if not self._is_dirty or (now - self._timeline_at < TIMELINE_SECONDS and not hurry):
            return
        event = {"timeline": self._describe()}
        for view in self.views:
            view.send(event)
        self._is_dirty, self._timeline_at = False, now

    def _describe(self) -> dict[str, Any]:
        return describe_timeline(self._context, self._found, self._timeline)


class _Backlog:
    """The lines up to `end`, the number of bytes that the watch had read when the view came."""

    def __init__(self, end: int, reader: JournalReader, archived: list[Event] | None) -> None:
        self._end, self._reader, self._archived = end, reader, archived

    @property
    def is_done(self) -> bool:
        return self._reader.offset >= self._end

    def read(self, started: str) -> list[Line]:
        """The next lines."""
        events, self._archived = self._archived or [], None
        if not self.is_done:
            events = [*events, *self._reader.read(min(READ_BYTES, self._end - self._reader.offset))]
        return [line for event in events if (line := journal_line(event, started)) is not None]


def _send(view: View, lines: list[Line]) -> None:
    new = [line for line in lines if view.after is None or line["n"] > view.after]
    for batch in batches(new):
        view.send({"lines": batch})
        view.after = batch[-1]["n"]
