"""Watches a deployment: its journal ten times a second while it runs, and not at all once it has ended."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.core.journal.journal import Event, JournalReader, parse_events
from mldeploy_jupyter.core.journal.timeline import END_STATES
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.deployments.log import journal_line, read_log
from mldeploy_jupyter.panel.deployments.timelines import (
    Deployment,
    apply_events,
    describe_timeline,
    end_by_record,
    find_deployment,
    first_timeline,
    open_journal,
)
from mldeploy_jupyter.panel.watching.watch import FULL_SECONDS, NEVER, Backlog, Tools, View, Watch, send_lines

POLL_SECONDS = 0.1  # between two checks of the journal's size
TIMELINE_SECONDS = 0.25  # at least, between two timelines
SILENT_SECONDS = 2.0  # without an event, after which the runner is checked
EVENTS_AT_ONCE = 5000  # of an archived journal
READ_BYTES = 500_000  # of the journal at one look, so that a long one keeps no other view waiting
BACKLOG_BATCHES = 10  # of up to 500 lines at one look, for the same reason
RING_LINES = 100_000  # that a new view is sent of the lines before; older ones count as lost, and can be asked for


class DeploymentWatch(Watch):
    """Watches the deployment that the parameters name. Raises as `find_deployment`."""

    def __init__(self, context: PanelContext, params: dict[str, Any], tools: Tools) -> None:
        super().__init__(tools)
        self._context = context
        self._found: Deployment = find_deployment(context, params["deployment"], params.get("workspace", ""))
        self._path: Path = deployment.journal_path(self._found.folder, self._found.record.id)
        self._reader = JournalReader(self._path)
        self._timeline = first_timeline(self._found)
        self._is_dirty = False  # whether the views have not got the timeline as it is
        self._backlogs: dict[View, Backlog] = {}  # lines before those that the views get as they come
        self._timeline_at = float("-inf")
        self._event_at = self._checked_at = tools.clock()

    def _look(self, now: float) -> float:
        behind = self._read_events(now)
        if self._is_dirty and (now - self._timeline_at >= TIMELINE_SECONDS or (self._timeline.ended and not behind)):
            self._send_timeline(now)
        for view in self.views:
            if view.is_new:
                self._begin(view)
        self._send_backlogs()
        if behind or any(not view.is_full() for view in self._backlogs):
            return now
        if self._backlogs:
            return now + FULL_SECONDS
        if self._timeline.ended:
            return NEVER
        if now - max(self._event_at, self._checked_at) >= SILENT_SECONDS:
            self._checked_at = now
            self._ask(self._check_runner)
        return now + POLL_SECONDS

    def _read_events(self, now: float) -> bool:
        """Applies new events. True while there is more to read at once."""
        size = self._size()
        if size <= self._reader.offset:
            self._end_by_record(now)
            return False
        self._apply(self._reader.read(READ_BYTES), now)
        return self._reader.offset < size

    def _size(self) -> int:
        try:
            return int(self._tools.stat(self._path).st_size)
        except FileNotFoundError:
            return 0

    def _apply(self, events: list[Event], now: float) -> None:
        if not events:
            return
        self._event_at, self._is_dirty = now, True
        apply_events(self._timeline, events)
        lines = [line for event in events if (line := journal_line(event, self._timeline.started)) is not None]
        for view in self.views:
            if view.is_new or view in self._backlogs or not lines:
                continue
            if view.is_full():
                self._take_from_log(view, view.after or 0)
            else:
                send_lines(view, lines)

    def _end_by_record(self, now: float) -> None:
        """Where the deployment has ended and its journal has not: takes the archived one, then the record's word."""
        if self._timeline.ended or self._found.record.state not in END_STATES:
            return
        if not self._timeline.seq:
            with open_journal(self._found) as journal:
                events = parse_events(journal)
                while some := list(itertools.islice(events, EVENTS_AT_ONCE)):
                    self._apply(some, now)
        end_by_record(self._timeline, self._found.record)
        self._is_dirty = True

    def _check_runner(self) -> None:
        """Records the end of a deployment whose runner died, and notes what the store says."""
        record = deployment.refresh_deployment(self._found.folder, self._found.record.id)
        if record is not None and record.state != "running":
            self._found = replace(self._found, record=record)

    def _begin(self, view: View) -> None:
        """Sends a new view the timeline, and finds the lines that it has not got yet."""
        view.send({"timeline": self._describe()})
        log, after = read_log(self._context, self._found), view.after or 0
        begin = max(after, log.before_last(RING_LINES))
        if lost := log.count_after(after) - log.count_after(begin):
            view.send({"lost": lost})
        view.is_new, view.after = False, begin
        if log.last > begin:
            self._take_from_log(view, begin)

    def _take_from_log(self, view: View, begin: int) -> None:
        """From now on the view gets the lines after that number from the log, until it has all that is written."""
        self._backlogs[view] = Backlog(view, begin, read_log(self._context, self._found).lines(begin))

    def _send_backlogs(self) -> None:
        """Sends the next lines of each backlog. Once a view has all that was written, it gets the rest as it comes."""
        for view, backlog in list(self._backlogs.items()):
            if view in self.views and backlog.send_some(BACKLOG_BATCHES):
                continue
            del self._backlogs[view]
            after = view.after or 0
            # More was written meanwhile:
            if view in self.views and read_log(self._context, self._found).last > after > backlog.begin:
                self._take_from_log(view, after)

    def _send_timeline(self, now: float) -> None:
        event = {"timeline": self._describe()}
        for view in self.views:
            if not view.is_new:
                view.send(event)
        self._is_dirty, self._timeline_at = False, now

    def _describe(self) -> dict[str, Any]:
        return describe_timeline(self._context, self._found, self._timeline)
