"""Runs work that is not urgent in a pause of the load, since a request that is due must not wait for it."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

LOOKS = 10  # at the clock, from one time to the next: 50 ms

MOST_LOOKS = 20  # after which it is done with less room, too

ROOM_SECONDS = 0.002  # until the next request is due; it takes up to 1 ms where its code is in no cache


class Housekeeping:
    """Calls `work`. The load says when it looks at the clock, when nothing is under way, and when it has sent.

    `next_due` is the moment, on the monotonic clock, at which the next request is due; infinity where nobody knows.
    """

    def __init__(self, work: Callable[[], None], clock: Callable[[], float] = monotonic) -> None:
        self._work, self._clock = work, clock
        self._looks = 0

    @property
    def is_due(self) -> bool:
        return self._looks >= LOOKS

    def looked(self, next_due: float) -> None:
        """After each look at the clock."""
        self._looks += 1
        if self._looks >= LOOKS:
            self.idle(next_due)

    def idle(self, next_due: float) -> None:
        """When nothing needs to be done before `next_due`."""
        if next_due - self._clock() >= ROOM_SECONDS:
            self._do()

    def sent(self, next_due: float) -> None:
        """After what was due has been sent: where requests follow each other closely, there is no better moment."""
        if self._looks >= MOST_LOOKS and next_due > self._clock():
            self._do()

    def _do(self) -> None:
        self._looks = 0
        self._work()
