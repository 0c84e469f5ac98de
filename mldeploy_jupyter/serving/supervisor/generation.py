"""The data that supervisor modules share about a revision's workers and a running deployment."""

from __future__ import annotations

import queue
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..settings import Settings
from .worker_process import WorkerProcess

Emit = Callable[[dict[str, Any]], Any]  # sends an event to the client; returns False when the client has disconnected


@dataclass
class Generation:
    """The workers of one revision, on one listening socket."""

    settings: Settings
    deployment_id: str
    listener: socket.socket
    workers: list[WorkerProcess] = field(default_factory=list)
    was_live: bool = False  # at least one worker was ready
    failure: dict[str, Any] | None = None  # why the last worker died before it was ready

    @property
    def is_serving(self) -> bool:
        return any(worker.state == "live" for worker in self.workers)

    @property
    def state(self) -> str:
        if self.is_serving:
            return "Live"
        return "Unhealthy" if self.was_live or self.failure else "Starting"


@dataclass
class Deployment:
    """A running deployment. `cancelled` may be set until `switching` is."""

    id: str
    revision: int
    events: queue.SimpleQueue[dict[str, Any]] = field(default_factory=queue.SimpleQueue)
    cancelled: bool = False
    switching: bool = False


class Aborted(Exception):
    """Ends a deployment, or the start of a worker. `worker` is the one that failed, if one did."""

    def __init__(self, data: dict[str, Any], worker: WorkerProcess | None = None) -> None:
        super().__init__(data["message"])
        self.failure = data
        self.worker = worker
