"""The log of a service in a container: `NumberedLog` and `read_log` over the file that a collector keeps current."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.errors import StorageError
from mldeploy_jupyter.docker_engine import EngineError
from mldeploy_jupyter.targets.base import LogLine
from mldeploy_jupyter.targets.docker.collector import LogCollector
from mldeploy_jupyter.targets.numbered_log import NumberedLog
from mldeploy_jupyter.targets.process_log import read_log

BUSY_ATTEMPTS = 20  # to copy while another process is copying

STOPPED_SECONDS = 4.0  # without a running container before the log of a followed service has ended

UNUSED_SECONDS = 10.0  # without a reader before a log is no longer kept current


def collect(collector: LogCollector, wait: Callable[[float], Any] = time.sleep) -> None:
    """Copies new entries. On failure the entries copied so far can still be read.

    Waits up to a second when another process is copying; one that follows the log is current by then.
    """
    with suppress(EngineError, StorageError, OSError):
        for _ in range(BUSY_ATTEMPTS):
            if collector.collect():
                return
            wait(0.05)


def follow_log(
    collector: LogCollector,
    path: Path,
    *,
    tail: int | None,
    going_on: Callable[[], bool],
    wait: Callable[[float], Any],
) -> Iterator[LogLine]:
    """The last entries, then new ones as they come, until `going_on` is false and nothing is left."""
    collect(collector)
    done = threading.Event()
    thread = threading.Thread(
        target=_follow, args=(collector, lambda: not done.is_set()), name="mldeploy-log-follow", daemon=True
    )
    thread.start()
    try:
        yield from read_log(path, tail=tail, follow=going_on, wait=wait)
    finally:
        done.set()
        thread.join(2.0)


def _follow(collector: LogCollector, going_on: Callable[[], bool]) -> None:
    with suppress(StorageError, OSError):  # on a full disk the entries copied so far can still be read
        collector.follow(going_on)


class CollectedLog(NumberedLog):
    """A numbered log that is kept current while its signature is polled, as a watcher does."""

    def __init__(self, collector: LogCollector, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(path)
        self._collector, self._clock = collector, clock
        self._asked = clock()
        self._thread: threading.Thread | None = None
        self._start = threading.Lock()

    def signature(self) -> tuple[Any, ...]:
        self._asked = self._clock()
        with self._start:
            if not self._is_followed():
                self._thread = threading.Thread(
                    target=_follow, args=(self._collector, self._is_used), name="mldeploy-log-watch", daemon=True
                )
                self._thread.start()
        return super().signature()

    def refresh(self) -> None:
        if not self._is_followed():
            collect(self._collector)
        super().refresh()

    def _is_followed(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _is_used(self) -> bool:
        return self._clock() - self._asked < UNUSED_SECONDS


class StillRunning:
    """Whether a followed service still runs; checks at most once a second.

    An engine that restarts stops its containers first and starts them last, so a service counts as stopped only after
    `STOPPED_SECONDS`.
    """

    def __init__(self, ask: Callable[[], bool], clock: Callable[[], float]) -> None:
        self._ask, self._clock = ask, clock
        self._due = self._runs_until = clock()
        self._answer = True

    def __call__(self) -> bool:
        now = self._clock()
        if now >= self._due:
            if self._ask():
                self._runs_until = self._clock() + STOPPED_SECONDS
            self._answer = self._clock() < self._runs_until
            self._due = self._clock() + 1.0
        return self._answer
