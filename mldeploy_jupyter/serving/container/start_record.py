"""The events and the answer of a container's start, for clients that ask while it runs or after it."""

from __future__ import annotations

import threading
from typing import Any

from ..supervisor.generation import Emit

MAX_EVENTS = 5000  # lines that the script prints while it starts; the rest is in the log only


class StartRecord:
    """Any thread may call every method."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._answer: dict[str, Any] | None = None
        self._changed = threading.Condition()
        self._told = threading.Event()

    def add(self, event: dict[str, Any]) -> bool:
        with self._changed:
            if len(self._events) < MAX_EVENTS or event.get("event") != "log":
                self._events.append(event)
                self._changed.notify_all()
        return True

    def finish(self, answer: dict[str, Any]) -> None:
        with self._changed:
            self._answer = answer
            self._changed.notify_all()

    def follow(self, emit: Emit) -> dict[str, Any]:
        """Emits the events from the first one on; returns the answer once there is one."""
        number = 0
        while True:
            with self._changed:
                while number == len(self._events) and self._answer is None:
                    self._changed.wait()
                events, answer = self._events[number:], self._answer
            number += len(events)
            for event in events:
                emit(event)
            if not events and answer is not None:
                self._told.set()
                return answer

    def await_follower(self, timeout: float) -> bool:
        """Waits until a client has got the answer; returns False when none has within `timeout` seconds."""
        return self._told.wait(timeout)
