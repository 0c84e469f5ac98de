"""Watches a run of the latency lab through its files, twice a second while it lasts, whichever process runs it."""

from __future__ import annotations

import time
from typing import Any

from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.watching.watch import NEVER, Tools, Watch

POLL_SECONDS = 0.5  # between two checks of the files
UNSEEN_SECONDS = 5.0  # the same while no view is visible
SHARE = 0.2  # of one core at most, for the statistics of what has been measured so far


class LatencyWatch(Watch):
    """Watches the run that the parameters name. Raises `RunNotFound`."""

    def __init__(self, context: PanelContext, params: dict[str, Any], tools: Tools) -> None:
        from mldeploy_jupyter.latency.result import LatencyResult  # not by the first panel: few measure

        super().__init__(tools)
        self._context = context
        self._workspace, self._run = context.workspace(params.get("workspace", "")), params["run"]
        LatencyResult.load(self._workspace, self._run)
        self._latest: dict[str, Any] | None = None
        self._sent: dict[str, Any] | None = None
        self._looked_at = float("-inf")
        self._pause = POLL_SECONDS

    def _look(self, now: float) -> float:
        if self._latest is not None:
            for view in self.views:
                if view.is_new or self._latest is not self._sent:
                    view.send({"report": self._latest})
                    view.is_new = False
            self._sent = self._latest
            if self._latest["state"] != "running":
                return NEVER
        pause = self._pause if self.visible else max(UNSEEN_SECONDS, self._pause)
        if now >= self._looked_at + pause:
            self._looked_at = now
            self._ask(self._read)
        return self._looked_at + pause

    def _read(self) -> None:
        from mldeploy_jupyter.latency.result import LatencyResult
        from mldeploy_jupyter.panel.latency.reports import describe_run

        begun = time.thread_time()
        run = LatencyResult.load(self._workspace, self._run)
        self._latest = describe_run(self._context, self._workspace, run)
        self._pause = max(POLL_SECONDS, (time.thread_time() - begun) / SHARE)
