"""Wakes at an exact time. The loop's own timers count whole milliseconds, which is longer than many answers take."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable
from time import monotonic

MAX_EARLY = 500e-6  # seconds before the time that the kernel is asked to wake us; the rest is spent in a busy loop

MAX_EARLY_SHARED = 150e-6  # the same where this process has one core, which it may share with the service

MAX_BUSY = 0.1  # of the time until the alarm that may be spent in that loop, or `MAX_EARLY_SHARED`

_STEP = 1e-6  # seconds by which a wake-up changes how early the next is asked for

_LATE_STEPS = 19  # after one that came late: so 19 of 20 come early enough, and what is rare makes nobody wait

_CLOCK_MONOTONIC, _ABSOLUTE = 1, 1  # <time.h>, <sys/timerfd.h>
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC


class _TimerSpec(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "at_s", "at_ns")]


class Alarm:
    """Calls `ring()` at the time that was set last, on the monotonic clock, and not again until another is set.

    A kernel wakes a process 10 to 400 us late, mostly by about as much on one machine. With `exact` it is asked for
    that much earlier, and what is left is waited for in a busy loop. How much is learned by all alarms of the process.
    """

    _early = MAX_EARLY_SHARED / 2  # seconds

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None], exact: bool = True) -> None:
        self._loop, self._ring = loop, ring
        self._exact = exact
        self._most = MAX_EARLY if _count_cores() > 1 else MAX_EARLY_SHARED
        self._when = 0.0
        self._asked = 0.0  # seconds before it
        self._timer: asyncio.Handle | None = None
        self._spec = _TimerSpec()
        self._fd = -1
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _FLAGS)
            if self._fd >= 0:
                self._settime = self._libc.timerfd_settime
                self._settime.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
                self._reference = ctypes.addressof(self._spec)
                loop.add_reader(self._fd, self._wake)

    def set(self, when: float) -> None:
        """Rings at `when`, or at once when that is over."""
        self._when = when
        if self._exact:
            self._asked = min(Alarm._early, max(MAX_EARLY_SHARED, MAX_BUSY * (when - monotonic())))
        at = when - self._asked
        if self._fd >= 0:
            seconds = int(at)
            self._spec.at_s, self._spec.at_ns = seconds, max(1, int((at - seconds) * 1e9))  # two zeros would disarm it
            self._settime(self._fd, _ABSOLUTE, self._reference, None)
            return
        self._cancel()
        delay = at - monotonic() - 0.001  # the loop rounds to milliseconds
        self._timer = self._loop.call_later(delay, self._spin) if delay > 0 else self._loop.call_soon(self._spin)

    def close(self) -> None:
        self._cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # another time was set since
        when = self._when
        if self._exact:
            if monotonic() < when:
                Alarm._early = max(Alarm._early - _STEP, 0.0)
            elif self._asked >= Alarm._early:
                Alarm._early = min(Alarm._early + _LATE_STEPS * _STEP, self._most)
            while monotonic() < when:
                pass
        self._ring()

    def _spin(self) -> None:
        """Without a timer of the kernel: other events are handled in between."""
        if monotonic() < self._when:
            self._timer = self._loop.call_soon(self._spin)
        else:
            self._timer = None
            self._ring()


def _count_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
