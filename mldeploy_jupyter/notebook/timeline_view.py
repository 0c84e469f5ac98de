"""A deployment's timeline as a display that keeps itself up to date. It only reads the journal: closing it,
or the kernel's end, stops nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.journal import Timeline, apply_event, render_html, render_text, update_elapsed
from mldeploy_jupyter.core.journal.journal import JournalReader
from mldeploy_jupyter.notebook.wording import as_typed_here

LEAST_SECONDS = 0.25  # between two updates
CLOCK_SECONDS = 1.0  # a running deployment's clock moves this often when nothing else happens
LAST_EVENT_SECONDS = 1.0
SILENT_SECONDS = 2.0  # without an event for so long: ask whether the runner still lives

Publish = Callable[[dict[str, str], bool], Any]  # the bundle, and whether it replaces the one shown before


class TimelineView:
    """Shows the journal at `journal` through `publish` until the deployment has ended.

    `first` is shown while the journal is empty, before the runner has written a line.
    `look` asks the service how it is, which finds a runner that died and writes that into the journal. `is_over`
    says that the deployment has ended, which the store knows an instant before the journal. While `errors` is
    False, why it failed is left out: then the error is raised, and shown below.
    `now` gives the wall-clock time with its zone, `clock` seconds that never run backwards.
    """

    def __init__(
        self,
        journal: Path,
        publish: Publish,
        *,
        first: Timeline | None = None,
        look: Callable[[], Any] = lambda: None,
        is_over: Callable[[], bool] = lambda: False,
        errors: bool = True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeline = first or Timeline()
        self.timeline.started = now().isoformat()
        self.journal = journal
        self.ended = threading.Event()
        self.errors = errors
        self._tail = JournalReader(journal)
        self._publish, self._look, self._is_over, self._now, self._clock = publish, look, is_over, now, clock
        self._lock = threading.Lock()
        self._shown_at = self._read_at = self._heard_at = self._looked_at = clock()
        self._shown: dict[str, str] = {}

    def show(self) -> TimelineView:
        """Draws the timeline as it stands and keeps it up to date from a thread of its own."""
        self.refresh()
        if not self.ended.is_set():
            threading.Thread(target=self._keep_up, name="mldeploy-timeline", daemon=True).start()
        return self

    def refresh(self) -> bool:
        """Reads what is new and shows it. True once the deployment has ended and its end is on the page.

        It may be called from any thread; the running cell's own thread does so before the cell ends, because
        what comes later is lost to programs that run notebooks.
        """
        with self._lock:
            if self.ended.is_set():
                return True
            events = self._tail.read()
            if events and not self.timeline.seq:
                self.timeline.started = ""  # what stood there before the first event was a guess
            for event in events:
                apply_event(self.timeline, event)
            moment = self._read_at = self._clock()
            if events:
                self._heard_at = moment
            if events or not self._shown or moment - self._shown_at >= CLOCK_SECONDS:
                update_elapsed(self.timeline, self._now())
                self._draw(moment)
            if self.timeline.ended:
                self.ended.set()
            return self.ended.is_set()

    def catch_up(self, seconds: float = LAST_EVENT_SECONDS) -> bool:
        """`refresh`, but once the deployment is over it waits up to `seconds` for the journal's last event."""
        end = self._clock() + seconds
        while not self.refresh() and self._is_over() and self._clock() < end:
            self.ended.wait(0.02)
        return self.ended.is_set()

    def wait(self, timeout: float | None = None) -> None:
        """Follows until the deployment has ended, or for `timeout` seconds. An interrupt ends the waiting only."""
        end = None if timeout is None else self._clock() + timeout
        while not self.ended.wait(0.02) and (end is None or self._clock() < end):
            self._ask_when_silent()
            if self._clock() - self._read_at >= LEAST_SECONDS:
                self.refresh()

    def _keep_up(self) -> None:
        while not self.ended.wait(LEAST_SECONDS):
            self._ask_when_silent()
            self.refresh()

    def _ask_when_silent(self) -> None:
        moment = self._clock()
        if moment - max(self._heard_at, self._looked_at) >= SILENT_SECONDS:
            self._looked_at = moment
            self._look()

    def _draw(self, moment: float) -> None:
        bundle = bundle_of(self.timeline, self.errors)
        if bundle != self._shown:
            self._publish(bundle, bool(self._shown))
            self._shown = bundle
        self._shown_at = moment


def bundle_of(timeline: Timeline, errors: bool = True) -> dict[str, str]:
    """The timeline in the two plain forms, by MIME type, in the words of a notebook."""
    if timeline.cause:
        timeline = replace(
            timeline, cause={**timeline.cause, "hint": as_typed_here(str(timeline.cause.get("hint", "")))}
        )
    text = render_text(timeline, errors=errors)
    return {"text/plain": "\n".join(text), "text/html": render_html(timeline, errors)}
