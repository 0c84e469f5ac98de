"""Keeps workers ready until the container is told to take over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ..ipc.failure import failure
from ..supervisor.arbiter import Arbiter
from ..supervisor.generation import Aborted, Deployment, Emit, Generation
from ..supervisor.rollout import Switch
from .remote_predecessor import RemotePredecessor

CHECK_INTERVAL = 0.2  # seconds until a cancel, or the death of a worker that waits, is noticed

OpenPredecessor = Callable[[Path], RemotePredecessor]


class Standby:
    """One take-over. `on_ready` is called when the workers have been probed, `on_begin` before the traffic moves.

    `on_begin` gets the state folder of the container before, or None, and may raise `OSError`.
    """

    def __init__(
        self,
        arbiter: Arbiter,
        open_predecessor: OpenPredecessor,
        on_ready: Callable[[Generation], Any],
        on_begin: Callable[[Path | None], Any],
    ) -> None:
        self.waiting = False  # for the order, with workers that are ready
        self._arbiter = arbiter
        self._open_predecessor = open_predecessor
        self._on_ready = on_ready
        self._on_begin = on_begin
        self._emit: Emit = lambda _: None
        self._predecessor: RemotePredecessor | None = None
        self._answer: dict[str, Any] | None = None
        self._lock = threading.Lock()
        self._ordered = threading.Event()
        self._answered = threading.Event()

    def emit(self, event: dict[str, Any]) -> bool:
        """Sends the events of the switch to the client that ordered it."""
        return bool(self._emit(event))

    def hold(self, generation: Generation, deployment: Deployment) -> Switch:
        """Returns how to switch, when that is ordered. Raises `Aborted` when it is cancelled, or a worker has died."""
        self.waiting = True
        self._on_ready(generation)
        while not self._ordered.wait(CHECK_INTERVAL):
            for worker in generation.workers:
                if worker.exited.is_set():
                    self._abort(Aborted(worker.exit_failure(), worker))
            if deployment.cancelled:
                self._abort(Aborted(failure("cancelled", "probe", "cancelled")))
        return partial(self._arbiter.switch, predecessor=self._predecessor)

    def take_over(self, request: dict[str, Any], emit: Emit) -> dict[str, Any]:
        """Carries out the order; returns the answer of the deployment, or why the order cannot be carried out."""
        given = request.get("from")
        folder = Path(str(given)) if given else None
        with self._lock:
            if not self.waiting or self._ordered.is_set():
                return {"ok": False, "failure": failure("not-standby", "switch", "this container does not stand by")}
            try:
                predecessor = self._open_predecessor(folder) if folder else None
                if predecessor is not None:
                    predecessor.connect()
                self._on_begin(folder)
            except Aborted as aborted:
                return {"ok": False, "failure": aborted.failure}
            except OSError as error:
                text = f"the take-over cannot be recorded: {error}"
                return {"ok": False, "failure": failure("spawn-failed", "switch", text)}
            self._predecessor, self._emit = predecessor, emit
            self._ordered.set()
        self._answered.wait()
        assert self._answer is not None
        return self._answer

    def finish(self, answer: dict[str, Any]) -> None:
        """Gives the client the answer of the deployment."""
        self.waiting = False
        self._answer = answer
        self._answered.set()

    def _abort(self, aborted: Aborted) -> None:
        with self._lock:
            if not self._ordered.is_set():
                self.waiting = False
                raise aborted
