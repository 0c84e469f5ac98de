"""The workers of one revision, and how each of them becomes ready."""

from __future__ import annotations

import queue
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from .failure import failure
from .pulse import PATIENCE, Pulse
from .settings import Settings
from .workers import Worker

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


def await_ready(worker: Worker, settings: Settings, deploy: Deploy | None, emit: Emit) -> None:
    """Returns when the worker is ready; raises `Stopped` with the failure of whatever came instead."""
    next_progress = PROGRESS_EVERY
    pulse = Pulse(worker.pid)
    while not worker.ready:
        now = time.monotonic()
        if deploy is not None and deploy.cancelled:
            raise Stopped(failure("cancelled", worker.stage, "cancelled"))
        running = now - worker.stage_since
        if now - worker.born > settings.init_timeout:
            raise Stopped({**_hung(worker, settings), "locked": pulse.locked()}, worker)
        if worker.forked and pulse.locked_for() > PATIENCE:
            text = f"{worker.stage} waits for a lock and has done nothing for {PATIENCE:g} s"
            raise Stopped(worker.complete(failure("init-timeout", worker.stage, text, locked=True)), worker)
        if worker.stage == "init" and running > next_progress:
            emit({"event": "progress", "text": f"init() has run for {running:.0f} s"})
            next_progress += PROGRESS_EVERY
        left = settings.init_timeout - (now - worker.born)
        try:
            event = worker.events.get(timeout=max(0.01, min(left, 0.5)))
        except queue.Empty:
            continue
        said: Worker | None = event.get("worker")
        if said is None or said.given_up:
            continue
        if event["event"] == "failed":
            raise Stopped(said.complete(event["failure"]), said)
        if event["event"] == "exit":
            raise Stopped(said.failure_of_exit(), said)
    if worker.exited.is_set():
        raise Stopped(worker.failure_of_exit(), worker)
    worker.state = "ready"


def _hung(worker: Worker, settings: Settings) -> dict[str, Any]:
    answer = worker.ask("stack", STACK_WAIT)
    frames = answer["frames"] if answer else []
    if not answer:  # held up in C code: its fault handler writes the stack to the log
        worker.signal(signal.SIGUSR2)
        time.sleep(0.2)
    stage = worker.stage
    text = f"{stage if stage != 'init' else 'init()'} did not end within {settings.init_timeout:g} s"
    return worker.complete(failure("init-timeout", stage, text, frames=frames))


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
