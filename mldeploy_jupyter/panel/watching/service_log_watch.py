"""Watches the log of a service: by the size of its files, often while something is written, else seldom."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.log_lines import Line
from mldeploy_jupyter.panel.services.log import open_log
from mldeploy_jupyter.panel.watching.watch import Tools, View, Watch, send_lines

BUSY_SECONDS = 0.1  # between two looks while lines come
IDLE_SECONDS = 2.0  # between two looks at a log that is quiet
QUIET_AFTER = 10.0  # seconds without a line
UNSEEN_SECONDS = 10.0  # between two looks while nobody can see a view
LINES_A_LOOK = 5000
TAIL_LINES = 5000  # that a new view is sent; older ones can be asked for


class ServiceLogWatch(Watch):
    """Watches the log of the service that the parameters name. Raises as `service_log.open_log`."""

    def __init__(self, context: PanelContext, params: dict[str, Any], tools: Tools) -> None:
        super().__init__(tools)
        self._log = open_log(context, params)
        self._signature: Any = None
        self._written_at = tools.clock()
        self._unfinished: dict[View, Iterator[Line]] = {}

    def _look(self, now: float) -> float:
        signature = self._log.signature()
        if signature != self._signature:
            self._log.refresh()
            self._written_at = now if self._signature is not None else self._written_at
            self._signature = signature
        for view in self.views:
            if view.is_new:
                self._begin(view)
            if view not in self._unfinished and self._log.last > (view.after or 0):
                self._unfinished[view] = self._log.lines(view.after or 0)
        for view, lines in list(self._unfinished.items()):
            some = list(islice(lines, LINES_A_LOOK)) if view in self.views else []
            send_lines(view, some)
            if len(some) < LINES_A_LOOK:
                del self._unfinished[view]
        if self._unfinished:
            return now
        if not self.visible:
            return now + UNSEEN_SECONDS
        return now + (BUSY_SECONDS if now - self._written_at < QUIET_AFTER else IDLE_SECONDS)

    def _begin(self, view: View) -> None:
        """Tells a new view that the log is read, how many lines it is not sent, and where its lines begin."""
        view.is_new = False
        if view.after is None:
            view.after = self._log.before_last(TAIL_LINES)
            lost = max(0, self._log.total - TAIL_LINES)
        else:  # how many were rotated away is not known
            lost = int(0 < view.after < self._log.first - 1)
        if lost or self._log.last <= view.after:
            view.send({"lines": [], **({"lost": lost} if lost else {})})
