"""Watches the log of a service: by the size of its files, often while something is written, else seldom."""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.services.log import open_log
from mldeploy_jupyter.panel.watching.watch import FULL_SECONDS, Backlog, Tools, View, Watch

BUSY_SECONDS = 0.1  # between two looks while lines come
IDLE_SECONDS = 2.0  # between two checks of a log that is quiet
QUIET_AFTER = 10.0  # seconds without a line
UNSEEN_SECONDS = 10.0  # between two polls while no view is visible
BATCHES_A_LOOK = 10  # of up to 500 lines
TAIL_LINES = 5000  # that a new view is sent; older ones can be asked for


class ServiceLogWatch(Watch):
    """Watches the log of the service that the parameters name. Raises as `service_log.open_log`."""

    def __init__(self, context: PanelContext, params: dict[str, Any], tools: Tools) -> None:
        super().__init__(tools)
        self._log = open_log(context, params)
        self._signature: Any = None
        self._written_at = tools.clock()
        self._backlogs: dict[View, Backlog] = {}
        # Where the lines of views begin that are not told yet how many lie before, and that count once it is known.
        self._uncounted: dict[View, int] = {}
        self._counts: dict[View, int] = {}

    def _look(self, now: float) -> float:
        signature = self._log.signature()
        if signature != self._signature:
            self._log.refresh()
            self._written_at = now if self._signature is not None else self._written_at
            self._signature = signature
        for view in self.views:
            if view.is_new:
                self._begin(view)
            if view not in self._backlogs and self._log.last > (after := view.after or 0):
                self._backlogs[view] = Backlog(view, after, self._log.lines(after))
        self._send_counts()
        for view, backlog in list(self._backlogs.items()):
            if view not in self.views or not backlog.send_some(BATCHES_A_LOOK):
                del self._backlogs[view]
        if self._backlogs:
            return now if any(not view.is_full() for view in self._backlogs) else now + FULL_SECONDS
        if not self.visible:
            return now + UNSEEN_SECONDS
        return now + (BUSY_SECONDS if now - self._written_at < QUIET_AFTER else IDLE_SECONDS)

    def _begin(self, view: View) -> None:
        """Finds where the lines of a new view begin, and tells it that the log is read if there are none."""
        view.is_new, lost = False, 0
        if view.after is None:
            view.after = self._log.before_last(TAIL_LINES)
            if view.after:
                self._uncounted[view] = view.after
        else:  # how many were rotated away is not known
            lost = int(0 < view.after < self._log.first - 1)
        if lost or self._log.last <= view.after:
            view.send({"lines": [], **({"lost": lost} if lost else {})})

    def _send_counts(self) -> None:
        """Tells views how many lines they are not sent. A long log takes a while to count, so another thread does."""
        for view in list(self._counts):
            count = self._counts.pop(view)
            if self._uncounted.pop(view, None) and count:
                view.send({"lines": [], "lost": count})
        self._uncounted = {view: after for view, after in self._uncounted.items() if view in self.views}
        if self._uncounted:
            self._ask(self._count)

    def _count(self) -> None:
        for view, after in list(self._uncounted.items()):
            self._counts[view] = self._log.count_until(after)
