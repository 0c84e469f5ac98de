"""Asks services for their health, one after another at an even pace, and records changes since they were live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.core.records import utc_now

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import ServiceRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.deployment import ServiceStatus

ROUND_SECONDS = 5.0  # in which each service is asked once, where they are few
# What is said of each kind of event where nothing more is known.
TEXTS = {
    "live": "Answers again",
    "stopped": "Stopped",
    "died": "Its process is gone",
    "unhealthy": "It does not answer",
}

PAUSE_SECONDS = 0.5  # at least, between two questions; 500 services are asked once in four minutes


class Health:
    """The health of the services of one workspace. One question goes to one service at a time."""

    def __init__(self, folder: WorkspaceFolder, clock: Callable[[], float]) -> None:
        self._folder, self._clock = folder, clock
        self._states: dict[str, str] = {}
        self._asked: dict[str, float] = {}
        self._ended: set[str] = set()  # those that have ended, and of which that is recorded
        self._due = clock() + PAUSE_SECONDS

    def state(self, name: str) -> str:
        """What the service was found to be when it was last asked: Live, Unhealthy; "" when it was not."""
        return self._states.get(name, "")

    def is_due(self, now: float, running: Sequence[str], ended: Sequence[str]) -> bool:
        """Whether it is time for the next question to one that runs, or one has ended since."""
        self._ended &= set(ended)
        return bool(set(ended) - self._ended) or (bool(running) and now >= self._due)

    def ask_next(self, running: Sequence[ServiceRecord], ended: Sequence[ServiceRecord]) -> bool:
        """Asks the one that runs and was not asked for the longest time, and records those that have ended.

        Returns whether the one that was asked is in another state than before.
        """
        for record in ended:
            if record.name not in self._ended:
                self._ended.add(record.name)
                asked = utc_now()
                record_health(self._folder, record, deployment.query_status(self._folder, record), asked)
        if not running or self._clock() < self._due:
            return False
        for name in set(self._asked) - {record.name for record in running}:
            del self._asked[name]
            self._states.pop(name, None)
        record = min(running, key=lambda record: self._asked.get(record.name, float("-inf")))
        now = self._clock()
        self._asked[record.name] = now
        self._due = now + max(PAUSE_SECONDS, ROUND_SECONDS / len(running))
        asked = utc_now()
        status = deployment.query_status(self._folder, record)
        before, self._states[record.name] = self.state(record.name), status.state
        record_health(self._folder, record, status, asked)
        return (before == "Unhealthy") != (status.state == "Unhealthy")


def record_health(folder: WorkspaceFolder, record: ServiceRecord, status: ServiceStatus, asked: str) -> None:
    """Writes what is new about a service into its events; `asked` is when it was asked, in the form of records.

    Does nothing while a deployment changes it, and when too many were asked at once for it to answer in time.
    """
    failure: dict[str, Any] = status.failure or {}
    if record.state in ("Deploying", "Updating") or not record.revision or failure.get("code") == "status-late":
        return
    why = str(failure.get("what") or failure.get("message") or "")
    kind = {"Live": "live", "Stopped": "stopped"}.get(status.state, "unhealthy")
    if failure.get("code") in ("supervisor-lost", "container-gone"):
        kind = "died"
    text = TEXTS[kind] if kind in ("live", "stopped") else why or TEXTS[kind]
    last_exit = status.details.get("last_exit")
    if isinstance(last_exit, dict) and kind == "live":
        data = {"pid": last_exit.get("pid"), "time": last_exit.get("time")}
        message = str(last_exit.get("message") or "it ended")
        deployment.record_service_event(
            folder, record.name, "worker-replaced", f"Worker {data['pid']} was replaced: {message}", data, asked=asked
        )
    deployment.record_service_event(folder, record.name, kind, text, asked=asked)
