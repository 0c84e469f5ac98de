"""How long to wait for a store, disk or bucket that is unavailable: locked, restarting, or mounted again soon."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

RUNNER_SECONDS = 60.0  # a restart of a database or of a file server: no deployment may fail for that

COMMAND_SECONDS = 2.0  # a user waits for a command's answer

POLL_SECONDS = 0.1


Result = TypeVar("Result")


def _discard(note: str) -> None:
    """Discards a note."""


@dataclass(frozen=True)
class Patience:
    """`seconds` to wait for what is unavailable; `note` gets a line when a wait begins and when it is over."""

    seconds: float = COMMAND_SECONDS
    note: Callable[[str], object] = _discard

    @property
    def is_long(self) -> bool:
        """Whether it also covers what is most likely a mistake, such as a file that is not there."""
        return self.seconds > COMMAND_SECONDS


_current: ContextVar[Patience] = ContextVar("mldeploy_patience", default=Patience())  # noqa: B039  (it is frozen)


@contextmanager
def patience(seconds: float = RUNNER_SECONDS, note: Callable[[str], object] = _discard) -> Iterator[None]:
    """During the block this thread waits that long for what is unavailable."""
    token = _current.set(Patience(seconds, note))
    try:
        yield
    finally:
        _current.reset(token)


def current_patience() -> Patience:
    """This thread's patience."""
    return _current.get()


def retry(step: Callable[[], Result], may_come_back: Callable[[Exception], bool], name: str) -> Result:
    """The result of `step`, which is run again while it raises an error of `name`, a thing that may come back.

    Running `step` twice must be the same as once.
    """
    wait = Wait(name)
    while True:
        try:
            result = step()
        except Exception as error:
            if not may_come_back(error) or not wait.pause(str(error)):
                raise
        else:
            wait.end()
            return result


class Wait:
    """The waiting of one transaction or write for the thing `name`, from its first attempt on.

    `patience` is by default that of this thread.
    """

    def __init__(
        self,
        name: str = "the workspace's store",
        patience: Patience | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._name = name
        self._patience = patience or _current.get()
        self._clock, self._sleep = clock, sleep
        self._end = clock() + self._patience.seconds
        self._waiting = False

    @property
    def is_long(self) -> bool:
        return self._patience.is_long

    def pause(self, reason: str) -> bool:
        """Waits a moment; `reason` says what is wrong. False when the time is up."""
        if self._clock() >= self._end:
            return False
        if not self._waiting:
            self._waiting = True
            self._patience.note(f"{self._name} is unavailable; waiting up to {self._patience.seconds:g} s: {reason}")
        self._sleep(POLL_SECONDS)
        return True

    def end(self) -> None:
        """Call this when it is available."""
        if self._waiting:
            self._waiting = False
            self._patience.note(f"{self._name} is back")
