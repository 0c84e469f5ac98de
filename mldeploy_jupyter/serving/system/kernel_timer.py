"""A timer that any thread may set while an event loop waits for it: setting it does not wake the loop. Linux only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import time
from typing import Any

# It keeps the interpreter's lock during a call: giving the lock up would take longer than the call does.
_library: Any = ctypes.PyDLL(None) if sys.platform == "linux" else None

AVAILABLE = hasattr(_library, "timerfd_create")


class _Setting(ctypes.Structure):
    """`struct itimerspec`: the interval, here none, then the time until the first expiry."""

    _fields_ = [(name, ctypes.c_long) for name in ("interval", "interval_nanoseconds", "seconds", "nanoseconds")]


class KernelTimer:
    """`fd` becomes readable when the time is over, and stays so until `set` or `clear`. Raises `OSError`."""

    def __init__(self) -> None:
        # The flags of timerfd_create have the values of those of open.
        self.fd = int(_library.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))
        if self.fd < 0:
            raise OSError("timerfd_create: there is no descriptor left, or no such timer")

    def set(self, seconds: float) -> None:
        """Makes it expire in so many seconds, and not when it would have expired."""
        setting = _Setting(0, 0, int(seconds), max(1, int(seconds % 1 * 1e9)))
        _library.timerfd_settime(self.fd, 0, ctypes.byref(setting), None)

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 8)
