"""Which of several workers accepts a new connection: not one that is in a call, while another can answer sooner.

A worker that has nothing to do accepts at once, so it is never waited for longer than the machine takes to wake it. Of
workers that are all in long calls, the one whose call began last accepts: the others' are known to be longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..ipc.scoreboard import ACCEPTED_AT, IN_FLIGHT, LEAVING, UNFINISHED, Scoreboard, Slot
from .request_queue import RequestQueue

ARRIVAL = 0.02  # seconds in which the first request of a new connection arrives; until then its worker is not free

# Seconds. A worker that does not leave connections to others accepts within a millisecond, on a busy machine later, and
# never when a signal has stopped it or its script keeps the global lock.
PATIENCE = 0.5

ARRIVAL_PATIENCE = 0.004  # seconds, of a worker whose last connection has no request yet

DISTRUST = 1.0  # seconds in which no such worker is waited for, after one was waited for in vain

LONG = 0.005  # seconds of a call; connections are not left to busy workers for one that is shorter


class ConnectionSharing:
    """How one worker, with the slot `slot`, shares new connections with the others of its revision."""

    def __init__(
        self, scoreboard: Scoreboard, slot: Slot, queue: RequestQueue, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._scoreboard = scoreboard
        self._slot = slot
        self._queue = queue
        self._clock = clock
        self._trusts_after = 0.0

    def record_accepted(self) -> None:
        self._slot.state[ACCEPTED_AT] = int(self._clock() * 1e6)

    def leaves_connection(self, waited: float) -> bool:
        """As in `Application`."""
        slot, now = self._slot, self._clock()
        unfinished = slot.state[UNFINISHED]
        calling = slot.fields[IN_FLIGHT] or unfinished
        full_for = self._queue.full_for if calling else 0.0
        busy_since = int((now - full_for) * 1e6)
        # Beside a worker that has a request, one that expects its first is free.
        since = int((now if calling else now - ARRIVAL) * 1e6)
        leaves = False
        if calling or slot.state[ACCEPTED_AT] > since:
            others = self._scoreboard.look_at_others(slot, since, busy_since)
            if others.free or (others.accepting and unfinished) or (others.sooner and full_for >= LONG):
                leaves = waited < (PATIENCE if calling else ARRIVAL_PATIENCE) and now >= self._trusts_after
                if waited >= PATIENCE:
                    self._trusts_after = now + DISTRUST
        slot.state[LEAVING] = busy_since if leaves else 0
        return leaves
