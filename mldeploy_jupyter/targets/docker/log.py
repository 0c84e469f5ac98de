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

BUSY_ATTEMPTS = 20  # to copy, while another process does

UNUSED_SECONDS = 10.0  # after which a log that nobody asks for is not kept current any longer


def collect(collector: LogCollector, wait: Callable[[float], Any] = time.sleep) -> None:
    """Copies what is new, as far as that is possible: what was copied before can be read in any case.

    Another process may be copying: then its end is waited for, up to a second. One that follows is current by then.
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
    with suppress(StorageError, OSError):  # a full disk: what is there can be read
        collector.follow(going_on)


class CollectedLog(NumberedLog):
    """A numbered log that is kept current as long as somebody asks for its signature, as one who watches it does."""

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
