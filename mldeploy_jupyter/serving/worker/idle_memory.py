"""Gives the memory that a load has left free back to the system, once a worker has had nothing to do for a while."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from ..ipc.scoreboard import ANSWERED, Slot
from ..system import allocator, procfs

INTERVAL = 5.0  # seconds between two looks

QUIET_LOOKS = 3  # looks in a row that find nothing done: 10 to 15 seconds

# Bytes by which memory must have grown since it was returned last, or since the start. Returning it copies up to 9 MB
# of the heap that a forked worker shares with its zygote.
WORTH = 16 * 1024 * 1024


class IdleMemory:
    """Everything runs on the loop's thread. `busy()`: whether requests wait or run. A request costs nothing."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        slot: Slot,
        busy: Callable[[], bool],
        measure: Callable[[], int] = lambda: measure_memory(),
        give_back: Callable[[], None] = allocator.return_freed_memory,
    ) -> None:
        self._loop = loop
        self._slot = slot
        self._busy = busy
        self._measure = measure
        self._give_back = give_back
        self._answered = -1
        self._quiet = 0  # looks in a row
        self._size = -1  # after memory was returned last, or at the first look that finds the worker ready

    def look(self) -> None:
        """Looks now and, from then on, every `INTERVAL`."""
        answered = self._slot.fields[ANSWERED]
        self._quiet = 0 if answered != self._answered or self._busy() else self._quiet + 1
        self._answered = answered
        if self._size < 0 and not self._busy():
            self._size = self._measure()
        if self._quiet == QUIET_LOOKS and self._measure() - self._size >= WORTH:
            self._give_back()
            self._size = self._measure()
        self._loop.call_later(INTERVAL, self.look)


def measure_memory() -> int:
    """The bytes in memory of this process that belong to no file; 0 where the system does not say."""
    return (procfs.read_sizes(os.getpid(), "status") or {}).get("RssAnon", 0)
