"""A watch polls one deployment, service or log for all of its views, and says when it is due again."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mldeploy_jupyter.panel.log_lines import Line, batches, shorten_line

Event = dict[str, Any]

Send = Callable[[Event], Any]

NEVER = float("inf")

FULL_SECONDS = 0.05  # until a view that is full is looked at again: it takes a few megabytes in that time

RETRY_SECONDS = 1.0  # after an error, such as a store that is unavailable; twice as long after each further one
RETRY_LIMIT = 8.0


@dataclass(frozen=True)
class Tools:
    """What watches are made with.

    `ask` runs a function that may have to wait, outside the watching thread. `wake` makes that thread look at what is
    due. `poll_seconds` are those between two checks of all workspaces.
    """

    clock: Callable[[], float]
    stat: Callable[[Any], os.stat_result]
    ask: Callable[[Callable[[], None]], Any]
    wake: Callable[[], None]
    poll_seconds: float = 0.5


class View:
    """One subscriber. `after` is the number of the last line that it has, None for none.

    While `is_full` is true, what was sent is still on its way: lines wait in their log until there is room, so that a
    long log and a slow page cost no memory. `poll_seconds` are those between two looks that are enough for it.
    """

    def __init__(
        self,
        send: Send,
        after: int | None = None,
        is_full: Callable[[], bool] = lambda: False,
        poll_seconds: float = 0.0,
    ) -> None:
        self._send = send
        self.poll_seconds = poll_seconds
        self.after = after
        self.is_full = is_full
        self.is_new = True
        self.is_broken = False
        self.visible = True

    def send(self, event: Event) -> None:
        """Sends an event. A view that cannot be sent to is dropped: its front end is gone."""
        if self.is_broken:
            return
        try:
            self._send(event)
        except Exception:
            self.is_broken = True


class Watch(ABC):
    """Polls something for its views. `due` is the time of its next poll, by the clock of `tools`."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._due = tools.clock()
        self._look_errors = self._ask_errors = 0  # in a row
        self._retry_at = float("-inf")
        self._is_asking = False
        self._was_answered = False  # set by another thread, so it is not part of `_due`
        self.views: list[View] = []

    @property
    def due(self) -> float:
        return float("-inf") if self._was_answered else self._due

    @property
    def visible(self) -> bool:
        """Whether anybody can see one of its views."""
        return any(view.visible for view in self.views)

    def add(self, view: View) -> None:
        """Adds a view, which is sent what is at the next look."""
        self.views.append(view)
        self._due = self._tools.clock()

    def hurry(self) -> None:
        """Makes it due now."""
        self._due = self._tools.clock()

    def look(self) -> None:
        """Looks once, sends what is new, and sets `due`. An error is tried again later."""
        self._was_answered = False
        try:
            self._due = self._look(self._tools.clock())
            self._look_errors = 0
        except Exception:  # whatever it is, such as an unavailable store: the views wait, and no other watch suffers
            self._look_errors += 1
            self._due = self._tools.clock() + pause_after(self._look_errors)

    def close(self) -> None:  # noqa: B027  (most have nothing open)
        """Ends the watch: it has no views and is no longer polled."""

    @abstractmethod
    def _look(self, now: float) -> float:
        """Looks, sends, and returns when to look again."""

    def _ask(self, read: Callable[[], None]) -> None:
        """Runs `read` outside the watching thread and looks again once it is done.

        Does nothing while an earlier one runs, or until it is time to try again after an error.
        """
        if self._is_asking or self._tools.clock() < self._retry_at:
            return
        self._is_asking = True

        def run() -> None:
            try:
                read()
                self._ask_errors = 0
            except Exception:
                self._ask_errors += 1
                self._retry_at = self._tools.clock() + pause_after(self._ask_errors)
            finally:
                self._is_asking = False
                self._was_answered = True
                self._tools.wake()

        self._tools.ask(run)


def pause_after(errors: int) -> float:
    """Seconds to wait after that many errors in a row."""
    return float(min(RETRY_LIMIT, RETRY_SECONDS * 2.0 ** min(errors - 1, 10)))


def send_lines(view: View, lines: Iterable[Line]) -> None:
    """Sends the lines that the view has not got."""
    for batch in batches(shorten_line(line) for line in lines if line["n"] > (view.after or 0)):
        _send_batch(view, batch)


class Backlog:
    """Lines that a view is sent as it takes them. `begin` is the number after which they begin."""

    def __init__(self, view: View, begin: int, lines: Iterable[Line]) -> None:
        self.begin, self._view = begin, view
        self._batches = batches(shorten_line(line) for line in lines)

    def send_some(self, most: int) -> bool:
        """Sends at most that many batches, and none to a view that is full. False when there are no more."""
        for _ in range(most):
            if self._view.is_full():
                return True
            batch = next(self._batches, None)
            if batch is None:
                return False
            _send_batch(self._view, batch)
        return True


def _send_batch(view: View, batch: list[Line]) -> None:
    view.send({"lines": batch})
    view.after = batch[-1]["n"]
