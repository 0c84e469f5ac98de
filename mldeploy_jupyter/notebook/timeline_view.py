"""A deployment's timeline below a cell, kept up to date from a thread.

It only reads the journal, so neither closing it nor the end of the kernel stops a deployment.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.commands.errors import WaitInterrupted
from mldeploy_jupyter.core.errors import DeploymentTimeout
from mldeploy_jupyter.core.journal import Timeline, apply_event, render_html, render_text, update_elapsed
from mldeploy_jupyter.core.journal.journal import JournalReader
from mldeploy_jupyter.notebook.session import Session, front_end, prompt_number
from mldeploy_jupyter.notebook.wording import in_short_magics

if TYPE_CHECKING:
    from mldeploy_jupyter.notebook.panels import Panels

UPDATE_SECONDS = 0.25  # at least, between two updates of the display
CLOCK_SECONDS = 1.0  # between two updates that only advance the elapsed time
LAST_EVENT_SECONDS = 1.0  # to wait for the last event of a deployment that the store says has ended
SILENT_SECONDS = 2.0  # without an event, after which the runner is checked
POLL_SECONDS = 0.02

Publish = Callable[[dict[str, str], bool], Any]  # the MIME bundle, and whether it replaces the one shown before


class TimelineView:
    """Draws the deployment of a journal through `publish` until it has ended.

    `first` is drawn while the journal is empty. `check_runner` detects a runner that died and records it in the
    journal. `is_over` says that the deployment has ended, which the store knows an instant before the journal. With
    `errors` False the reason of a failure is left out, because the caller raises it. While `is_hidden`, because a
    panel shows the same, only changes of a state are drawn. `while_waiting` is called while a cell waits. `now` is the
    wall-clock time with its zone, `clock` a monotonic clock in seconds.
    """

    def __init__(
        self,
        journal: Path,
        publish: Publish,
        *,
        first: Timeline | None = None,
        check_runner: Callable[[], Any] = lambda: None,
        is_over: Callable[[], bool] = lambda: False,
        errors: bool = True,
        is_hidden: Callable[[], bool] = lambda: False,
        while_waiting: Callable[[], Any] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeline = first or Timeline()
        self.timeline.started = now().isoformat()
        self.journal = journal
        self.ended = threading.Event()
        self.errors = errors
        self._reader = JournalReader(journal)
        self._publish, self._check_runner, self._is_over = publish, check_runner, is_over
        self._is_hidden, self._while_waiting = is_hidden, while_waiting
        self._now, self._clock = now, clock
        self._lock = threading.Lock()
        self._drawn_at = self._read_at = self._last_event_at = self._checked_at = clock()
        self._drawn: dict[str, str] = {}
        self._drawn_states: Any = None

    def show(self) -> TimelineView:
        """Draws the timeline and keeps it up to date from a thread of its own."""
        self.refresh()
        if not self.ended.is_set():
            threading.Thread(target=self._keep_up_to_date, name="mldeploy-timeline", daemon=True).start()
        return self

    def refresh(self) -> bool:
        """Draws new events. True once the end of the deployment has been drawn. Safe to call from any thread.

        The thread of the running cell calls it before the cell ends: programs that run notebooks lose later output.
        """
        with self._lock:
            if self.ended.is_set():
                return True
            before = self.timeline.seq
            for event in self._reader.read_all():
                if not self.timeline.seq:
                    self.timeline.started = ""  # the time before the first event was a guess
                apply_event(self.timeline, event)
            is_new = self.timeline.seq != before
            moment = self._read_at = self._clock()
            if is_new:
                self._last_event_at = moment
            if self._is_due(is_new, moment):
                update_elapsed(self.timeline, self._now())
                self._draw(moment)
            if self.timeline.ended:
                self.ended.set()
            return self.ended.is_set()

    def _is_due(self, is_new: bool, moment: float) -> bool:
        states = (self.timeline.state, [stage.status for stage in self.timeline.stages])
        if self._drawn and self._is_hidden() and states == self._drawn_states:
            return False
        self._drawn_states = states
        return is_new or not self._drawn or moment - self._drawn_at >= CLOCK_SECONDS

    def finish(self) -> None:
        """Draws the timeline for the last time, as it is now."""
        self.refresh()
        with self._lock:
            update_elapsed(self.timeline, self._now())
            self._drawn = {**self._drawn, "": ""}  # draw it whatever was drawn
            self._draw(self._clock())
            self.ended.set()

    def catch_up(self, seconds: float = LAST_EVENT_SECONDS) -> bool:
        """Like `refresh`, but waits up to `seconds` for the last event of a deployment that has ended."""
        end = self._clock() + seconds
        while not self.refresh() and self._is_over() and self._clock() < end:
            self.ended.wait(POLL_SECONDS)
        return self.ended.is_set()

    def wait(self, timeout: float | None = None) -> None:
        """Waits until the deployment has ended, or for `timeout` seconds."""
        end = None if timeout is None else self._clock() + timeout
        while not self.ended.wait(POLL_SECONDS) and (end is None or self._clock() < end):
            self._while_waiting()
            self._check_when_silent()
            if self._clock() - self._read_at >= UPDATE_SECONDS:
                self.refresh()

    def _keep_up_to_date(self) -> None:
        while not self.ended.wait(UPDATE_SECONDS):
            self._check_when_silent()
            self.refresh()

    def _check_when_silent(self) -> None:
        moment = self._clock()
        if moment - max(self._last_event_at, self._checked_at) >= SILENT_SECONDS:
            self._checked_at = moment
            self._check_runner()

    def _draw(self, moment: float) -> None:
        bundle = timeline_bundle(self.timeline, self.errors)
        if bundle != self._drawn:
            self._publish(bundle, bool(self._drawn))
            self._drawn = bundle
        self._drawn_at = moment


def timeline_bundle(timeline: Timeline, errors: bool = True) -> dict[str, str]:
    """The timeline as text and HTML, by MIME type, in a notebook's words."""
    if timeline.cause:
        hint = in_short_magics(str(timeline.cause.get("hint", "")))
        timeline = replace(timeline, cause={**timeline.cause, "hint": hint})
    text = render_text(timeline, errors=errors)
    return {"text/plain": "\n".join(text), "text/html": render_html(timeline, errors)}


def show_deployment(session: Session, service: Any, wait: bool = False, timeout_sec: float | None = None) -> None:
    """Shows the service's deployment below the running cell, and with `wait` waits for its end.

    Raises the deployment's error when it did not go live, `DeploymentTimeout` after `timeout_sec` seconds, and
    `WaitInterrupted` when the user interrupts the wait.
    """
    view = _add_view(session, service, errors=not wait)
    if not wait:
        return
    try:
        view.wait(timeout_sec)
        if not view.ended.is_set():
            view.errors = True
            raise DeploymentTimeout(
                f"{service.name} was not live within {timeout_sec:g} s",
                why="the deployment continues; nothing was cancelled",
                hint=f"wait again with %services {service.name}, or end it with %cancel {service.name}",
            )
        service.wait_for_deployment()  # raises the deployment's error
    except KeyboardInterrupt:
        view.errors = True  # no error will be raised any longer, so the timeline must show it
        raise wait_interrupted(service) from None
    finally:
        view.refresh()


def wait_interrupted(service: Any) -> WaitInterrupted:
    return WaitInterrupted(
        "stopped waiting; the deployment continues",
        why="the wait was interrupted, and an interrupt cancels nothing",
        hint=f"attach again with %services {service.name}; %cancel {service.name} ends it",
        value=service,
    )


def show_in_place(session: Session, service: Any, display_id: str, panels: Panels | None) -> None:
    """Shows the service's deployment in an output that is there, in whatever thread."""
    view = _make_view(service, True, display_id, panels, is_there=True)
    session.timelines[display_id] = view
    view.show()


def _add_view(session: Session, service: Any, errors: bool) -> TimelineView:
    display_id = f"mldeploy-{service.deployment_id}-{os.urandom(4).hex()}"
    view = _make_view(service, errors, display_id, session.panels)
    session.timeline_cells[service.deployment_id] = prompt_number(session.shell) or 0
    if front_end(session.shell) == "terminal":
        view.refresh()  # once: a terminal's earlier lines cannot be redrawn from a thread
        return view
    session.timelines[display_id] = view
    return view.show()


def _make_view(
    service: Any, errors: bool, display_id: str, panels: Panels | None, is_there: bool = False
) -> TimelineView:
    from IPython.display import display, update_display

    def publish(bundle: dict[str, Any], again: bool) -> None:
        show: Any = update_display if again or is_there else display
        if panels is not None:
            bundle = panels.add_view(
                panels.mark(bundle, service, begins=not again), service, display_id, begins=not again
            )
        show(bundle, raw=True, display_id=display_id)

    store, deployment_id = service.workspace.folder.open_store(), service.deployment_id
    record = store.get_service(service.name) or service.record
    first = Timeline("Updating" if record.revision else "Deploying", service.name, record.target)
    # The first event brings the plan. Until then, assume that a local service needs no image.
    image = first.stage("push")
    if image is not None and record.target == "local":
        image.status, image.planned = "Not needed", False

    def is_over() -> bool:
        deployment = store.get_deployment(deployment_id)
        return deployment is None or deployment.state != "running"

    return TimelineView(
        service.journal,
        publish,
        first=first,
        check_runner=lambda: service.shown_state,
        is_over=is_over,
        errors=errors,
        is_hidden=lambda: panels is not None and panels.is_drawn,
        while_waiting=panels.take_queued if panels is not None else lambda: None,
    )
