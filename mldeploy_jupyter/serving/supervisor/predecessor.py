"""What has the traffic before a switch: workers of this supervisor, or another supervisor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from .generation import Generation
from .worker_pool import WorkerPool
from .worker_process import request_all

PAUSE_WAIT = 0.5  # seconds: no connection is accepted during the pause, so do not wait long for a stuck worker


class Predecessor(Protocol):
    """Gives the traffic away. `pause` may raise `Aborted`, the others never do."""

    def pause(self) -> None:
        """Stops accepting connections. Those that are open are still served."""

    def resume(self) -> None:
        """Continues after `pause`, because the switch failed."""

    def retire(self) -> None:
        """Hands over the idle connections; returns when it has. Then finishes what it has, and ends."""


class LivePredecessor:
    """The generation that serves now, if one does. Without `pausing` it accepts, at its own port, until it retires."""

    def __init__(self, pool: WorkerPool, on_retired: Callable[[Generation], None], pausing: bool) -> None:
        self._pool = pool
        self._on_retired = on_retired
        self._old = pool.live
        self._workers = pool.live.workers if pool.live is not None and pausing else []

    def pause(self) -> None:
        request_all(self._workers, "pause", PAUSE_WAIT)

    def resume(self) -> None:
        request_all(self._workers, "accept")

    def retire(self) -> None:
        if self._old is not None:
            self._pool.drain(self._old.workers, self._old.settings.drain_timeout)
            self._on_retired(self._old)
