"""When the script's thread leads: it serves connections itself (`http.direct_poll`) while its calls are short.

It begins after a few short calls that follow each other closely, and ends when the loop's thread looks and sees that a
call is long, or that no more come. The script's thread puts the next look off as long as calls are short: the loop's
thread, which would have to wait for the global lock, does not wake under load.
"""

from __future__ import annotations

from time import perf_counter

from ..http.direct_poll import DirectPoll

SHORT = 0.002  # seconds of a call

MAX_GAP = 0.02  # seconds between two calls that follow each other closely

TRUST = 8  # short calls in a row, after which the script's thread leads

TURN = 0.001  # seconds of calls whose answers leave together, before further requests are read

LONG = 0.004  # seconds of a call; the loop's thread takes its connections back

LOOK = 0.01  # seconds until the next look of the loop's thread

PUT_OFF = 0.005  # seconds after which the script's thread puts the next look off again; it costs a system call

QUIET_LOOKS = 5  # looks without a call, after which the script's thread leads no longer


class Lead:
    """Whether the script's thread leads. It calls `begin` and `end` around its calls."""

    def __init__(self, direct: DirectPoll) -> None:
        self.direct = direct
        self._calls = 0
        self._calling = False
        self._began = self._ended = self._spent = 0.0
        self._short = 0  # short calls in a row
        self._look_after = 0.0  # from when on the script's thread puts the next look off
        self._seen_calls = self._quiet = 0  # at the last look

    # -- the script's thread --------------------------------------------------------------------------

    def begin(self) -> None:
        self._calls += 1
        self._began = perf_counter()
        self._calling = True

    def end(self, known: bool) -> None:
        """`known`: of the request, as in `Exchange`: its connection is worth polling."""
        self._calling = False
        now = perf_counter()
        seconds, gap = now - self._began, self._began - self._ended
        self._ended = now
        if self.direct.active:
            self._spent += seconds
            return
        self._short = self._short + 1 if known and seconds < SHORT and gap < MAX_GAP else 0
        if self._short >= TRUST:
            self._short, self._spent = 0, 0.0
            self._look_after = now + PUT_OFF
            self.direct.start(self._look, LOOK)

    @property
    def has_turn(self) -> bool:
        """Whether another call may be made before the answers so far leave."""
        return self._spent < TURN

    def wait(self, block: bool) -> None:
        self._spent, now = 0.0, self._ended
        if now >= self._look_after:
            self._look_after = now + PUT_OFF
            self.direct.look_in(LOOK)
        self.direct.call_due(now)
        self.direct.wait(block)

    # -- the loop's thread ----------------------------------------------------------------------------

    def _look(self) -> None:
        if not self.direct.active:
            return
        calls, calling, began = self._calls, self._calling, self._began
        self._quiet = 0 if calling or calls != self._seen_calls else self._quiet + 1
        self._seen_calls = calls
        now = perf_counter()
        if (calling and now - began > LONG) or self._quiet >= QUIET_LOOKS:
            self.direct.stop()
            return
        self.direct.look_in(LOOK)
        self.direct.run_due(now + LOOK)
