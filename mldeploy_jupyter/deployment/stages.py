"""Opens and closes the stages of a deployment in its journal, and measures how long each takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mldeploy_jupyter.core.journal.journal import Journal


class Stages:
    """Writes stage events and remembers which stage is open, so that a failure closes the right one.

    Every stage gets one `started` and one `finished` or `failed`, with its `seconds` on the monotonic clock, however
    often a target emits them.
    """

    def __init__(self, journal: Journal, clock: Callable[[], float] = time.monotonic) -> None:
        self._journal = journal
        self._clock = clock
        self._created = clock()
        self._started: dict[str, float] = {}
        self._closed: set[str] = set()
        self.current = ""

    @property
    def elapsed(self) -> float:
        """Seconds since this object was made."""
        return round(self._clock() - self._created, 3)

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """A stage that ends with the block; an exception leaves it open, and `fail` closes it.

        Yields a function that sets the detail shown beside the stage's name.
        """
        detail = ""

        def set_detail(text: str) -> None:
            nonlocal detail
            detail = text

        self.emit(name, "started")
        yield set_detail
        self.emit(name, "finished", detail)

    def emit(self, stage: str, kind: str, text: str = "", **data: Any) -> None:
        """Writes one event. Targets and environments get this method to report with."""
        if kind == "started":
            if stage in self._started:
                return
            self._started[stage] = self._clock()
            self.current = stage
        elif kind in ("finished", "failed"):
            if stage in self._closed or stage not in self._started:
                return
            self._closed.add(stage)
            data.setdefault("seconds", round(self._clock() - self._started[stage], 3))
        self._journal.write(stage, kind, text, **data)  # type: ignore[arg-type]

    def fail(self, text: str) -> None:
        """Closes the open stage as failed, if one is open."""
        if self.current and self.current not in self._closed:
            self.emit(self.current, "failed", text)
