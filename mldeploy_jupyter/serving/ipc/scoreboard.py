"""The scoreboard: memory that supervisor and workers share, where each worker counts in a place of its own.

Any worker can so tell the figures of the whole service, a dead worker's counts are not lost, and the
supervisor knows which requests a worker had in hand when it died. Writing costs no system call and no lock:
a slot has one writer. Counters are 64 bits, which this kind of machine writes at once.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import TypeVar

Found = TypeVar("Found")

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)

HISTOGRAMS = {"request": SECONDS, "queue": SECONDS, "parse": SECONDS, "run": SECONDS, "serialise": SECONDS,
              "batch": SIZES}  # fmt: skip

SLOTS = 128

_TRIES = 10

IN_HAND = 512  # requests in hand that a worker can name; more are counted only

_ID = 104  # bytes of one: its length, then at most 100 characters

# 64-bit fields of a slot.
PID, REVISION, BEAT, IN_FLIGHT, READY, STARTED, ANSWERED, CONNECTIONS = range(8)

_CODES = 8  # one for each status from 100 to 599

_HISTOGRAMS = _CODES + 500

_AT: dict[str, int] = {}

_end = _HISTOGRAMS

for _name, _bounds in HISTOGRAMS.items():
    _AT[_name] = _end  # the buckets, then the one without a bound, then the sum
    _end += len(_bounds) + 2

_FIELDS = _end

_SUM = len(SECONDS) + 1

_REQUEST, _REQUEST_SUM = _AT["request"], _AT["request"] + _SUM

_IDS = _FIELDS * 8

_SLOT = (_IDS + IN_HAND * _ID + 4095) // 4096 * 4096  # bytes, whole pages

# Fields of the service, which the supervisor writes. They stand before the slots; slot 0 is that of the dead.
RESTARTS, LOST, STUCK, OVER_MEMORY, RECYCLED = range(5)

SERVICE_COUNTERS = {
    RESTARTS: ("mldeploy_worker_restarts_total", "Workers that were started in place of one that had died."),
    LOST: ("mldeploy_requests_lost_total", "Requests that a worker had in hand when it died."),
    STUCK: ("mldeploy_workers_stuck_total", "Workers that were replaced because run() did not end."),
    OVER_MEMORY: ("mldeploy_workers_over_memory_total", "Workers that were ended for their memory limit."),
    RECYCLED: ("mldeploy_workers_recycled_total", "Workers that were replaced after their number of requests."),
}

CHANGES = 5  # odd while a dead worker's counts are on their way to slot 0

_HEAD = 4096


class Slot:
    """One worker's part. `fields` are its counters; sums of histograms are stored as doubles."""

    def __init__(self, memory: mmap.mmap, number: int) -> None:
        view = memoryview(memory)
        start = _HEAD + number * _SLOT
        self.number = number
        self.fields = view[start : start + _FIELDS * 8].cast("Q")
        self._sums = view[start : start + _FIELDS * 8].cast("d")
        self._ids = view[start + _IDS : start + _IDS + IN_HAND * _ID]
        self._free = list(range(IN_HAND))

    def count(self, status: int) -> None:
        self.fields[_CODES + status - 100] += 1
        self.fields[ANSWERED] += 1

    def record(self, status: int, seconds: float, timings: dict[str, float]) -> None:
        """One answered request: its status, its time, and the milliseconds of its parts."""
        fields, sums = self.fields, self._sums
        fields[_CODES + status - 100] += 1
        fields[ANSWERED] += 1
        fields[_REQUEST + bisect_left(SECONDS, seconds)] += 1
        sums[_REQUEST_SUM] += seconds
        for name, value in timings.items():
            at = _AT[name]
            value /= 1000
            fields[at + bisect_left(SECONDS, value)] += 1
            sums[at + _SUM] += value

    def record_together(
        self, seconds: list[float], queued: list[float], parse: float, run: float, serialise: float
    ) -> None:
        """Requests that one call answered with 200: what each took and had waited; what is the same for all."""
        fields, sums, count = self.fields, self._sums, len(seconds)
        fields[_CODES + 100] += count
        fields[ANSWERED] += count
        for at, values in ((_REQUEST, seconds), (_AT["queue"], queued)):
            for value in values:
                fields[at + bisect_left(SECONDS, value)] += 1
            sums[at + _SUM] += sum(values)
        for name, value in (("parse", parse), ("run", run), ("serialise", serialise)):
            self.observe(name, value, count)

    def observe(self, name: str, value: float, count: int = 1) -> None:
        at = _AT[name]
        bounds = HISTOGRAMS[name]
        self.fields[at + bisect_left(bounds, value)] += count
        self._sums[at + len(bounds) + 1] += value * count

    def take(self, request_id: bytes) -> int:
        """Notes a request that is in hand; -1 when there is no place to name it."""
        self.fields[IN_FLIGHT] += 1
        if not self._free:
            return -1
        place = self._free.pop()
        at, size = place * _ID, min(len(request_id), _ID - 1)
        self._ids[at + 1 : at + 1 + size] = request_id[:size]
        self._ids[at] = size  # last: a reader sees it whole
        return place

    def drop(self, place: int) -> None:
        self.fields[IN_FLIGHT] -= 1
        if place >= 0:
            self._ids[place * _ID] = 0
            self._free.append(place)

    def in_hand(self) -> list[str]:
        """The ids of the requests that are not answered."""
        ids = []
        for at in range(0, IN_HAND * _ID, _ID):
            if size := self._ids[at]:
                ids.append(bytes(self._ids[at + 1 : at + 1 + size]).decode("latin-1"))
        return ids

    def codes(self) -> Iterator[tuple[int, int]]:
        for status in range(500):
            if count := self.fields[_CODES + status]:
                yield status + 100, count

    def histogram(self, name: str) -> tuple[list[int], float]:
        at, size = _AT[name], len(HISTOGRAMS[name]) + 1
        return list(self.fields[at : at + size]), self._sums[at + size]

    def add(self, other: Slot) -> None:
        """Adds the other's counts, not its state."""
        for status, count in other.codes():
            self.fields[_CODES + status - 100] += count
        self.fields[ANSWERED] += other.fields[ANSWERED]
        for name, at in _AT.items():
            counts, total = other.histogram(name)
            for position, count in enumerate(counts):
                self.fields[at + position] += count
            self._sums[at + len(counts)] += total

    def clear(self) -> None:
        self.fields[:] = memoryview(bytes(_FIELDS * 8)).cast("Q")
        for place in range(IN_HAND):
            self._ids[place * _ID] = 0


class Scoreboard:
    """The whole. `fd` may be handed to another process, which opens it with `Scoreboard(fd)`."""

    def __init__(self, fd: int | None = None) -> None:
        size = _HEAD + SLOTS * _SLOT
        if fd is None:
            fd = _memory_file()
            os.ftruncate(fd, size)  # pages that are never written take no memory
        self.fd = fd
        self._memory = mmap.mmap(fd, size)
        self.service = memoryview(self._memory)[:_HEAD].cast("Q")
        self._taken: set[int] = {0}
        self._lock = threading.Lock()

    def slot(self, number: int) -> Slot:
        return Slot(self._memory, number)

    def assign(self) -> int:
        """A free slot's number, cleared; 0, where nobody reads state, when all are taken. The supervisor's call."""
        with self._lock:
            number = next((n for n in range(1, SLOTS) if n not in self._taken), 0)
            if number:
                self._taken.add(number)
                self.slot(number).clear()
            return number

    def retire(self, number: int) -> list[str]:
        """Frees a dead worker's slot, keeps its counts, and returns the requests it had in hand."""
        with self._lock:
            if number not in self._taken or number == 0:
                return []
            slot = self.slot(number)
            lost = slot.in_hand()
            self.service[LOST] += max(slot.fields[IN_FLIGHT], len(lost))
            self.service[CHANGES] += 1
            slot.fields[PID] = 0
            self.slot(0).add(slot)
            slot.clear()
            self.service[CHANGES] += 1
            self._taken.discard(number)
            return lost

    def steady(self, read: Callable[[], Found]) -> Found:
        """What `read` finds while no counts are on their way: a sum that goes back looks like a restart."""
        for _ in range(_TRIES):
            before = self.service[CHANGES]
            found = read()
            if before % 2 == 0 and self.service[CHANGES] == before:
                return found
        return read()  # the supervisor died just then

    def slots(self) -> list[Slot]:
        """Those of workers that live, after that of the dead."""
        return [self.slot(0), *(self.slot(n) for n in range(1, SLOTS) if self._pid_of(n))]

    def _pid_of(self, number: int) -> int:
        start = _HEAD + number * _SLOT
        return int.from_bytes(self._memory[start : start + 8], "little")


def _memory_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("mldeploy-board", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
