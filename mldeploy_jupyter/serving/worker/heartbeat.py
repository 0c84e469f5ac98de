"""Shows the supervisor that a worker's loop and its script's thread can move, with requests and without.

Every `INTERVAL` the loop writes the time to the scoreboard, and asks the script's thread for a sign of life with a job
that needs no call. A request costs nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..http.direct_poll import Timers
from ..ipc.scoreboard import BEAT, Slot
from .request_queue import RequestQueue
from .script_thread import ScriptThread

INTERVAL = 2.0  # seconds between two beats

SCRIPT_SILENCE = 5.0  # seconds in which the script's thread, which runs no call, must take a job; else it hangs

LATE = (
    1.0  # seconds by which a beat may be late; after that the process may have stood still, and no thread is to blame
)


class Heartbeat:
    """The beats of one worker. Everything runs on the loop's thread.

    `on_stuck()` is called once, when the script's thread runs no call and takes none. A call that runs has its own
    deadline.
    """

    def __init__(
        self,
        loop: Timers,
        slot: Slot,
        queue: RequestQueue,
        find_script_thread: Callable[[], ScriptThread | None],
        on_stuck: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = loop
        self._slot = slot
        self._queue = queue
        self._find_script_thread = find_script_thread
        self._on_stuck = on_stuck
        self._clock = clock
        self._has_answered: Callable[[], bool] = lambda: True
        self._oldest: object = None
        self._since = 0.0
        self._last = clock()
        self._stuck = False

    def beat(self) -> None:
        """Beats now and, from then on, every `INTERVAL`."""
        self._slot.fields[BEAT] = int(time.monotonic() * 1000)
        script_thread = self._find_script_thread()
        if script_thread is not None and not self._stuck:
            self._check(script_thread)
        self._loop.call_later(INTERVAL, self.beat)

    def _check(self, script_thread: ScriptThread) -> None:
        now, oldest, running = self._clock(), self._queue.oldest, self._queue.running
        stood_still, self._last = now - self._last > INTERVAL + LATE, now
        moved = oldest is not None and oldest is not self._oldest
        self._oldest = oldest
        if self._has_answered():
            self._has_answered, self._since = script_thread.poke(), now
        elif running or moved or stood_still:
            self._since = now
        elif now - self._since > SCRIPT_SILENCE:
            self._stuck = True
            self._on_stuck()
