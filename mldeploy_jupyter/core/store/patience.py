"""How long a database that is away is waited for: one that is locked, restarts, or is on a disk that comes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

RUNNER_SECONDS = 60.0  # a restart of a database or of a file server: no deployment may fail for that

COMMAND_SECONDS = 2.0  # somebody waits for a command's answer

POLL_SECONDS = 0.1


def _discard(note: str) -> None:
    """A note that nobody wants."""


@dataclass(frozen=True)
class Patience:
    """`seconds` to wait for the database; `note` gets a line when a wait begins and when it is over."""

    seconds: float = COMMAND_SECONDS
    note: Callable[[str], object] = _discard

    @property
    def is_long(self) -> bool:
        """Whether it also covers what is most likely a mistake, such as a file that is not there."""
        return self.seconds > COMMAND_SECONDS


_current: ContextVar[Patience] = ContextVar("mldeploy_patience", default=Patience())  # noqa: B039  (it is frozen)


@contextmanager
def patience(seconds: float = RUNNER_SECONDS, note: Callable[[str], object] = _discard) -> Iterator[None]:
    """During the block this thread waits that long for a database that is away."""
    token = _current.set(Patience(seconds, note))
    try:
        yield
    finally:
        _current.reset(token)


class Wait:
    """The waiting of one transaction, from its first attempt on."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self._patience = _current.get()
        self._clock, self._sleep = clock, sleep
        self._end = clock() + self._patience.seconds
        self._waiting = False

    @property
    def is_long(self) -> bool:
        return self._patience.is_long

    def pause(self, what: str) -> bool:
        """Waits a moment for `what` is away. False when the time is up."""
        if self._clock() >= self._end:
            return False
        if not self._waiting:
            self._waiting = True
            self._patience.note(f"the workspace's store is away; waiting up to {self._patience.seconds:g} s: {what}")
        self._sleep(POLL_SECONDS)
        return True

    def end(self) -> None:
        """To be called when the database is there."""
        if self._waiting:
            self._waiting = False
            self._patience.note("the workspace's store is back")
