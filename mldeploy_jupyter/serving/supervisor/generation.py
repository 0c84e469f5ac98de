"""The workers of one revision, and how each of them becomes ready."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ..settings import Settings
from .worker_process import Worker

Found = TypeVar("Found")

Emit = Callable[[dict[str, Any]], Any]  # False: nobody listens any more

PROGRESS_EVERY = 5.0  # seconds between two lines about a slow init()

ORDER_WAIT = 10.0  # seconds for a worker to obey

STACK_WAIT = 1.0  # seconds for a worker to say where its init() hangs


@dataclass
class Generation:
    """The workers of one revision, on one listening socket."""

    settings: Settings
    deployment_id: str
    listener: socket.socket
    workers: list[Worker] = field(default_factory=list)
    was_live: bool = False  # a worker was ready at least once
    failure: dict[str, Any] | None = None  # why the last worker died before it was ready


@dataclass
class Deploy:
    """A deployment that runs. `cancelled` may be set until `switching` is."""

    id: str
    revision: int
    events: queue.SimpleQueue[dict[str, Any]] = field(default_factory=queue.SimpleQueue)
    cancelled: bool = False
    switching: bool = False


class Stopped(Exception):
    """A deployment or a start that ends here; carries the failure and, where it is one worker's, that one."""

    def __init__(self, data: dict[str, Any], worker: Worker | None = None) -> None:
        super().__init__(data["message"])
        self.failure = data
        self.worker = worker


def nobody(generation: Generation | None) -> bool:
    """Whether no worker answers requests."""
    return generation is None or not any(worker.state == "live" for worker in generation.workers)


def state_of(live: Generation | None) -> str:
    if live is None:
        return "Empty"
    if any(worker.state == "live" for worker in live.workers):
        return "Live"
    return "Unhealthy" if live.was_live or live.failure else "Starting"


class Later(Generic[Found]):
    """A task in a thread of its own. `result` waits for it and raises what it raised."""

    def __init__(self, task: Callable[[], Found]) -> None:
        self._task = task
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def result(self) -> Found:
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._found

    def _run(self) -> None:
        self._error: BaseException | None = None
        try:
            self._found = self._task()
        except BaseException as error:
            self._error = error


def each(task: Callable[[Worker], Any], workers: list[Worker]) -> None:
    threads = [threading.Thread(target=task, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
