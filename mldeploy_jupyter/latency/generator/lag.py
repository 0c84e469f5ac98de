"""Measures how late this process is, since it must not report its own delays as the service's latency."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence, Set
from itertools import accumulate
from time import monotonic
from typing import NamedTuple

PROBE_SECONDS = 0.005  # between two checks of the time, also while no request is due

STANDSTILL_SECONDS = 1.0  # without a look: the process was stopped; no load makes a loop as late

LATE_SECONDS = 0.001  # by which a look or a request may be late: the load is as planned while 99 of 100 are in time

LATE_SHARE = 0.01  # of a block's looks and requests that may be later

LEAST_BLOCK_SECONDS = 0.5  # 100 looks, of which one is that share

MOST_LEFT_OUT = 0.2  # of the time under load that may be left out

SLEEP_SECONDS = 0.5  # by which the clock that counts sleep went ahead of the one that does not

_PER_OCTAVE = 32  # buckets of a histogram for each doubling: quantiles are right to 2 %

_LEAST = 1e-6  # seconds

_BUCKETS = 34 * _PER_OCTAVE  # up to 17,000 seconds


class Histogram:
    """Counts of durations in seconds, in buckets that grow evenly. Any number of values takes 9 kB."""

    def __init__(self) -> None:
        self.counts = array("q", bytes(8 * (_BUCKETS + 1)))
        self.count = 0
        self.greatest = 0.0

    def add(self, seconds: float) -> None:
        at = int(math.log2(seconds / _LEAST) * _PER_OCTAVE) if seconds > _LEAST else 0
        self.counts[at if at < _BUCKETS else _BUCKETS] += 1
        self.count += 1
        if seconds > self.greatest:
            self.greatest = seconds

    def quantile(self, q: float) -> float:
        """The duration in seconds that a share `q` of the values does not exceed, to 2 %; 0 without values."""
        if self.count == 0:
            return 0.0
        at = bisect_left(list(accumulate(self.counts)), max(1, math.ceil(q * self.count)))
        return float(min(_LEAST * 2 ** ((at + 0.5) / _PER_OCTAVE), self.greatest)) if at < _BUCKETS else self.greatest


class Lateness:
    """Of one block: how many looks and requests there were, how many of them late, and the latest, in seconds."""

    __slots__ = ("count", "greatest", "late")

    def __init__(self) -> None:
        self.count = self.late = 0
        self.greatest = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        if seconds > LATE_SECONDS:
            self.late += 1
        if seconds > self.greatest:
            self.greatest = seconds

    @property
    def share(self) -> float:
        """How many of them were late, from 0 to 1."""
        return self.late / self.count if self.count else 0.0


class Gap(NamedTuple):
    """A time in which this process did not run: because the machine slept, or because it alone was stopped."""

    seconds: float
    machine_slept: bool


class Watch:
    """Looks at the clocks every `PROBE_SECONDS`, when `look` is called.

    `awake` is a clock that stands still while the machine sleeps, `total` one that does not. Looks that were missed
    count as well, each by how late it was: a process that is stopped for a second has been late two hundred times.
    """

    def __init__(self, awake: Callable[[], float] = monotonic, total: Callable[[], float] | None = None) -> None:
        self._awake, self._total = awake, total or _boot_clock()
        self._last = awake()
        self._due = self._last + PROBE_SECONDS
        self._ahead = self._total() - self._last
        self.lag = Histogram()
        self.blocks: dict[int, Lateness] = {}  # by the block's number

    def add(self, seconds: float, block: int) -> None:
        """Notes how late something was that was due in that block."""
        self.lag.add(seconds)
        lateness = self.blocks.get(block)
        if lateness is None:
            lateness = self.blocks[block] = Lateness()
        lateness.add(seconds)

    def look(self, find_block: Callable[[float], int] | None) -> Gap | None:
        """Notes how late this look is, and returns the gap before it, mostly None.

        `find_block` returns the block that a moment is in; without it nothing is measured and the look does
        not count. `next_look` says when to look again.
        """
        now = self._awake()
        ahead = self._total() - now
        slept, stood = ahead - self._ahead, now - self._last
        self._ahead, self._last = ahead, now
        gap = None
        if slept > SLEEP_SECONDS:
            gap = Gap(slept, machine_slept=True)
        elif stood > STANDSTILL_SECONDS:
            gap = Gap(stood, machine_slept=False)
        if gap is not None or find_block is None:
            self._due = now + PROBE_SECONDS
            return gap
        while self._due <= now:
            self.add(now - self._due, find_block(self._due))
            self._due += PROBE_SECONDS
        return None

    @property
    def next_look(self) -> float:
        return self._due


def find_late_blocks(blocks: Sequence[Sequence[float]], services: int, failed: Set[int] = frozenset()) -> list[int]:
    """The numbers of the blocks that are left out, so that the rest of the run was sent as planned; [] for too many.

    `blocks` are those of the last message (`messages.py`). A block is left out for how late this process was in it,
    never for what was answered, so that slow answers stay. Services that take turns lose the turns of one round
    together: what is compared was measured side by side. Steps of a ramp are single blocks, of which none may go. Nor
    may one of the `failed`, in which a request failed: nothing may hide that.
    """
    if not blocks or blocks[0][4] < LEAST_BLOCK_SECONDS or any(step for _, _, step, *_ in blocks):
        return []
    rounds = {int(number) // services for number, *_, late, _ in blocks if late > LATE_SHARE}
    found = [(int(number), seconds) for number, _, _, _, seconds, *_ in blocks if int(number) // services in rounds]
    lost, under_load = sum(seconds for _, seconds in found), sum(block[4] for block in blocks)
    if lost > MOST_LEFT_OUT * under_load + 1e-6 or any(number in failed for number, _ in found):
        return []
    return [number for number, _ in found]


def stolen_seconds(path: str = "/proc/stat") -> float:
    """Seconds, of all processors together, that the host of a virtual machine gave to others; 0 where it is unknown."""
    import os

    try:
        with open(path) as file:
            ticks = file.readline().split()[8]
        return int(ticks) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return 0.0


def _boot_clock() -> Callable[[], float]:
    import time

    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return monotonic if clock is None else lambda: time.clock_gettime(clock)
