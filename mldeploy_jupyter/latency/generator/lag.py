"""How late this process itself is: what it reports as latency must be the service's, not its own."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from time import monotonic

PROBE_SECONDS = 0.005  # between two looks at the time, also while no request is due

STANDSTILL_SECONDS = 1.0  # without a look: the process was stopped, or the machine; no load makes a loop as late

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
        wanted, seen = max(1, math.ceil(q * self.count)), 0
        if self.count == 0:
            return 0.0
        for at, count in enumerate(self.counts):
            seen += count
            if seen >= wanted and at < _BUCKETS:
                return float(min(_LEAST * 2 ** ((at + 0.5) / _PER_OCTAVE), self.greatest))
        return self.greatest


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

    def look(self, count: bool) -> float:
        """Notes how late this look is, if it counts, and returns how long all stood still before it, mostly 0.

        In seconds. `next_look` says when to look again.
        """
        now = self._awake()
        ahead = self._total() - now
        slept, stood = ahead - self._ahead, now - self._last
        self._ahead, self._last = ahead, now
        gap = max(slept if slept > SLEEP_SECONDS else 0.0, stood if stood > STANDSTILL_SECONDS else 0.0)
        if gap or not count:
            self._due = now + PROBE_SECONDS
            return gap
        while self._due <= now:
            self.lag.add(now - self._due)
            self._due += PROBE_SECONDS
        return 0.0

    @property
    def next_look(self) -> float:
        return self._due


def _boot_clock() -> Callable[[], float]:
    import time

    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return monotonic if clock is None else lambda: time.clock_gettime(clock)
