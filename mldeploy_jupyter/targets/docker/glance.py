"""The state of all services of a workspace that run in containers, from one request to the engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.docker_engine import EngineError, engine_errors, open_engine
from mldeploy_jupyter.targets.docker.collector import AWAY_SECONDS
from mldeploy_jupyter.targets.docker.containers import list_containers
from mldeploy_jupyter.targets.docker.names import LISTENER_ROLE, SERVICE_ROLE, WORKSPACE, ServiceContainer
from mldeploy_jupyter.targets.glance import Glance

if TYPE_CHECKING:
    from mldeploy_jupyter.docker_engine import Engine

EVENTS = ["start", "die", "oom", "destroy", "pause", "unpause"]  # of a container, which may change a service's state

RETRY_SECONDS = 5.0  # before an engine that was unavailable is asked for its events again


class ContainerGlances:
    """Reads the states of one workspace's services in containers. `open_engine` opens their engine.

    The engine's events tell when a state may have changed, so no polling is needed. `look` and `close` are for one
    thread at a time.
    """

    def __init__(self, workspace_id: str, open_engine: Callable[[], Engine] | None = None) -> None:
        self._workspace = workspace_id
        self._open = open_engine or _open_engine
        self._engine: Engine | None = None
        self._changed = threading.Event()
        self._events: _Events | None = None

    def look(self, names: Iterable[str]) -> dict[str, Glance]:
        """The state of each of these services; Unhealthy when the engine does not answer."""
        names = list(names)
        if not names:
            self.close()
            return {}
        self._changed.clear()
        try:
            if self._engine is None:
                self._engine = self._open()
            found = list_containers(self._engine, self._workspace)
        except EngineError:
            return {name: Glance("Unhealthy") for name in names}
        if self._events is None:
            self._events = _Events(self._open, self._workspace, self._changed)
        return {name: Glance(_state([one for one in found if one.service == name])) for name in names}

    def has_ended(self) -> bool:
        """Whether something happened to one of the containers since the last look."""
        return self._changed.is_set()

    def close(self) -> None:
        """Stops listening for events."""
        if self._events is not None:
            self._events.close()
            self._events = None
        if self._engine is not None:
            self._engine.close()
            self._engine = None


class _Events:
    """A thread that sets `changed` on an event of the workspace's containers, and when the engine is lost."""

    def __init__(self, open_engine: Callable[[], Engine], workspace_id: str, changed: threading.Event) -> None:
        self._open, self._workspace, self._changed = open_engine, workspace_id, changed
        self._closed = threading.Event()
        self._stream: Any = None
        threading.Thread(target=self._listen, name="mldeploy-engine-events", daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._end_stream()

    def _end_stream(self) -> None:
        stream = self._stream
        if stream is not None:
            with suppress(Exception):  # it ended at the same moment
                stream.close()

    def _listen(self) -> None:
        filters = {"type": "container", "event": EVENTS, "label": f"{WORKSPACE}={self._workspace}"}
        while not self._closed.is_set():
            with suppress(EngineError, OSError, ValueError):
                engine = self._open()
                with engine_errors(engine.endpoint):
                    self._stream = engine.client.events(filters=filters)
                    if not self._closed.is_set():  # else `close` came before there was a stream to end
                        for _ in self._stream:
                            self._changed.set()
            self._end_stream()
            self._changed.set()
            self._closed.wait(RETRY_SECONDS)


def _open_engine() -> Engine:
    return open_engine(timeout=AWAY_SECONDS)


def _state(containers: list[ServiceContainer]) -> str:
    services = [one for one in containers if one.role == SERVICE_ROLE and one.state != "created"]
    listens = any(one.is_running for one in containers if one.role == LISTENER_ROLE)
    if any(one.is_running for one in services) and listens:
        return "Live"
    if not services:
        return "Absent"
    if listens or any(one.may_run for one in services):
        return "Unhealthy"
    return "Stopped"
