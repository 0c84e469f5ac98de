"""The kernel's timestamps of received bytes: if this process is late to read them, that is not latency."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable, Sequence
from time import monotonic, time

NOTES_BYTES = 64  # room for what the kernel says beside the bytes: one stamp takes 32

_TIMESTAMP = 35  # SO_TIMESTAMPNS of Linux, <asm-generic/socket.h>; Python does not name it

_STAMP = struct.Struct("@ll")  # struct timespec

_PAUSE = 20e-6  # seconds between two readings of the clocks that belong together; longer ones were interrupted

_ATTEMPTS = 3

_STEP = 100e-6  # seconds that the wall clock may be off from where it was expected; more is a step

_SLEW = 1e-3  # seconds a second by which it may go faster or slower: NTP allows half of it


def request_stamps(connected: socket.socket) -> bool:
    """Asks for a stamp with all that arrives. False where the system has none."""
    if sys.platform != "linux":
        return False
    try:
        connected.setsockopt(socket.SOL_SOCKET, _TIMESTAMP, 1)
    except OSError:
        return False
    return True


def find_stamp(notes: Sequence[tuple[int, int, bytes]]) -> float | None:
    """The stamp among what `recvmsg` returns beside the bytes: seconds of the wall clock, of the last byte."""
    for level, kind, value in notes:
        if level == socket.SOL_SOCKET and kind == _TIMESTAMP and len(value) == _STAMP.size:
            seconds, nanoseconds = _STAMP.unpack(value)
            return float(seconds + nanoseconds / 1e9)
    return None


class ReceiveClock:
    """Converts stamps, which are of the wall clock, to the monotonic clock."""

    def __init__(self, steady: Callable[[], float] = monotonic, wall: Callable[[], float] = time) -> None:
        self._steady, self._wall = steady, wall
        self._read_at = steady()
        self._ahead = wall() - self._read_at

    def convert(self, stamp: float | None) -> float:
        """The moment of the stamp, or this one where the stamp is missing, in the future, or the wall clock was set."""
        before = self._steady()
        if stamp is None:
            return before
        for _ in range(_ATTEMPTS):
            wall = self._wall()
            after = self._steady()
            if after - before <= _PAUSE:
                break
            before = after
        else:
            return before
        ahead = wall - before
        moved, allowed = abs(ahead - self._ahead), _STEP + _SLEW * (before - self._read_at)
        self._read_at, self._ahead = before, ahead
        ago = wall - stamp
        return before if moved > allowed or ago < 0 else before - ago
