"""Watches a service: its row and files every two seconds, the service every ten; less often for hidden views."""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.core.records import ServiceRecord, utc_now
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.services.descriptions import describe_services, find_service
from mldeploy_jupyter.panel.watching.health import record_health
from mldeploy_jupyter.panel.watching.watch import Tools, Watch

ROW_SECONDS = 2.0  # between two checks of the row and the files of a service
DEPLOYING_SECONDS = 0.5  # the same while it is being deployed
STATUS_SECONDS = 10.0  # between two questions to the service itself
HEALTH_SECONDS = 60.0  # after which a health that has not changed is sent again: views say when it was checked
UNSEEN_FACTOR = 10.0  # by which all of these are longer while no view is visible

FILES = ("supervisor.json", "live.json")  # of a local service; the one or the other changes with its state


class ServiceWatch(Watch):
    """Watches the service that the parameters name. Raises as `find_service`."""

    def __init__(self, context: PanelContext, params: dict[str, Any], tools: Tools) -> None:
        super().__init__(tools)
        self._context = context
        self._service = find_service(context, params)
        self._row: ServiceRecord | None = None
        self._files: tuple[Any, ...] = ()
        self._looked_at = self._described_at = self._sent_at = float("-inf")
        self._latest: dict[str, Any] | None = None  # as it was read last
        self._sent: dict[str, Any] | None = None  # as the views have it

    def _look(self, now: float) -> float:
        if self._latest is not None:
            self._send(now)
        factor = 1.0 if self.visible else UNSEEN_FACTOR
        pause = factor * (DEPLOYING_SECONDS if self._is_deploying else ROW_SECONDS)
        if now >= self._looked_at + pause:
            self._looked_at = now
            self._ask(self._read)
        return self._looked_at + pause

    @property
    def _is_deploying(self) -> bool:
        return self._latest is not None and bool(self._latest["deploying"])

    def _send(self, now: float) -> None:
        latest, event = self._latest, {"service": self._latest}
        changed = self._sent is None or _without_time(latest or {}) != _without_time(self._sent)
        again = now - self._sent_at >= HEALTH_SECONDS and latest != self._sent
        for view in self.views:
            if changed or again or view.is_new:
                view.send(event)
                view.is_new = False
        if changed or again:
            self._sent, self._sent_at = latest, now

    def _read(self) -> None:
        """Reads the row, and everything when it or a file has changed or some time has passed."""
        folder, now = self._service.workspace.folder, self._tools.clock()
        row, files = folder.open_store().get_service(self._service.name), self._stat_files()
        limit = STATUS_SECONDS * (1.0 if self.visible else UNSEEN_FACTOR)
        if (row, files) == (self._row, self._files) and now - self._described_at < limit and self._latest is not None:
            return
        asked = utc_now()
        described = describe_services(
            self._context, [self._service], lambda read: record_health(folder, read.record, read.status, asked)
        )
        self._row, self._files, self._described_at = row, files, now
        if described:
            self._latest = described[0]
        elif self._latest is not None:
            self._latest = {**self._latest, "state": "deleted", "deploying": False, "can": [], "tabs": [], "kept": []}

    def _stat_files(self) -> tuple[Any, ...]:
        found: list[Any] = []
        for name in FILES:
            try:
                status = self._tools.stat(self._service.workspace.folder.services / self._service.name / name)
                found.append((status.st_mtime_ns, status.st_size))
            except OSError:
                found.append(None)
        return tuple(found)


def _without_time(service: dict[str, Any]) -> dict[str, Any]:
    return {**service, "health": {**service.get("health", {}), "checked": ""}}
