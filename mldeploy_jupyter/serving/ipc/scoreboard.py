"""The scoreboard: memory that supervisor and workers share, in which each worker counts in a slot of its own.

So any worker can report the figures of the whole service, a dead worker's counts are kept, and the supervisor knows
which requests were in flight when a worker died. Counting takes no system call and no lock: each slot has one writer,
and the machines that the server supports write a 64-bit counter at once.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import threading
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

Found = TypeVar("Found")

# Upper bounds of the buckets of a histogram.
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)

HISTOGRAMS = {"request": SECONDS, "queue": SECONDS, "parse": SECONDS, "run": SECONDS, "serialise": SECONDS,
              "batch": SIZES}  # fmt: skip

SLOTS = 128
MAX_NAMED_REQUESTS = 512  # requests in flight whose ids a slot can hold; more are only counted
_ID_BYTES = 104  # one id: a byte for its length, then at most 103 characters
_pack_id = struct.Struct(f"{_ID_BYTES - 1}s").pack_into

# -- the layout of a slot: 64-bit fields, then the ids of the requests in flight

PID, REVISION, BEAT, IN_FLIGHT, READY, STARTED, ANSWERED, CONNECTIONS = range(8)

_STATUSES = 8  # the first of 500 fields, one for each status from 100 to 599
_HISTOGRAMS_START = _STATUSES + 500


def _lay_out_histograms() -> tuple[dict[str, int], int]:
    """The first field of each histogram, and the number of fields. A histogram's buckets are followed by its sum."""
    starts, end = {}, _HISTOGRAMS_START
    for name, bounds in HISTOGRAMS.items():
        starts[name] = end
        end += len(bounds) + 2  # one bucket has no bound
    return starts, end


_STARTS, _FIELDS = _lay_out_histograms()
_SUM = len(SECONDS) + 1  # the place of the sum in a histogram of seconds
_REQUEST, _QUEUE, _PARSE, _RUN, _SERIALISE, _BATCH = (_STARTS[name] for name in HISTOGRAMS)
_REQUEST_SUM, _QUEUE_SUM, _PARSE_SUM, _RUN_SUM, _SERIALISE_SUM = (
    start + _SUM for start in (_REQUEST, _QUEUE, _PARSE, _RUN, _SERIALISE)
)
_BATCH_SUM = _BATCH + len(SIZES) + 1

_IDS_START = _FIELDS * 8
_STATE_START = _IDS_START + MAX_NAMED_REQUESTS * _ID_BYTES
_SLOT_BYTES = (_STATE_START + 4095) // 4096 * 4096  # whole pages

# -- more 64-bit fields, in the rest of the last page: processes of earlier versions find the others where they were

# Whether it accepts connections; while it leaves those that wait to others, since when it is busy, else 0; how many
# calls continue although their request is over; when it last accepted a connection. Times in microseconds, monotonic.
# The last one is the supervisor's: whether the worker must accept none, although it may not have read the order yet.
ACCEPTING, LEAVING, UNFINISHED, ACCEPTED_AT, PAUSED = range(5)
_STATE_FIELDS = 5
assert _STATE_START + _STATE_FIELDS * 8 <= _SLOT_BYTES

# -- the fields of the service, which only the supervisor writes; they stand before the slots

RESTARTS, LOST, STUCK, OVER_MEMORY, RECYCLED = range(5)
CHANGES = 5  # odd while a dead worker's counts are being moved to slot 0
_SERVICE_BYTES = 4096

_SLOT_STARTS = [(_SERVICE_BYTES + number * _SLOT_BYTES) // 8 for number in range(1, SLOTS)]  # in 64-bit fields

SERVICE_COUNTERS = {
    RESTARTS: ("mldeploy_worker_restarts_total", "Workers that were started in the place of one that died."),
    LOST: ("mldeploy_requests_lost_total", "Requests that were in flight when their worker died."),
    STUCK: ("mldeploy_workers_stuck_total", "Workers that were replaced because run() did not end."),
    OVER_MEMORY: ("mldeploy_workers_over_memory_total", "Workers that were ended for their memory limit."),
    RECYCLED: ("mldeploy_workers_recycled_total", "Workers that were replaced after their number of requests."),
}

_READ_ATTEMPTS = 10


class Slot:
    """The part of one worker. `fields` are its counters; the sums of its histograms are stored as doubles.

    `state` has the fields that later versions have added.
    """

    def __init__(self, memory: mmap.mmap, number: int) -> None:
        view = memoryview(memory)
        start = _SERVICE_BYTES + number * _SLOT_BYTES
        self.number = number
        self.fields = view[start : start + _FIELDS * 8].cast("Q")
        self._sums = view[start : start + _FIELDS * 8].cast("d")
        self._ids = view[start + _IDS_START : start + _IDS_START + MAX_NAMED_REQUESTS * _ID_BYTES]
        self.state = view[start + _STATE_START : start + _STATE_START + _STATE_FIELDS * 8].cast("Q")
        self._free = list(range(MAX_NAMED_REQUESTS))

    def record_request(self, status: int, seconds: float, timings_ms: dict[str, float]) -> None:
        """Counts one answered request: its status, the time it took, and the times of its parts."""
        fields, sums = self.fields, self._sums
        fields[_STATUSES + status - 100] += 1
        fields[ANSWERED] += 1
        fields[_REQUEST + bisect_left(SECONDS, seconds)] += 1
        sums[_REQUEST + _SUM] += seconds
        for name, value in timings_ms.items():
            start = _STARTS[name]
            value /= 1000
            fields[start + bisect_left(SECONDS, value)] += 1
            sums[start + _SUM] += value

    def record_usual(
        self, status: int, seconds: float, queue: float, parse: float, run: float, serialise: float
    ) -> None:
        """As `record_request`, for a request that got through every part; all times in seconds."""
        fields, sums = self.fields, self._sums
        fields[_STATUSES + status - 100] += 1
        fields[ANSWERED] += 1
        fields[_REQUEST + bisect_left(SECONDS, seconds)] += 1
        sums[_REQUEST_SUM] += seconds
        fields[_QUEUE + bisect_left(SECONDS, queue)] += 1
        sums[_QUEUE_SUM] += queue
        fields[_PARSE + bisect_left(SECONDS, parse)] += 1
        sums[_PARSE_SUM] += parse
        fields[_RUN + bisect_left(SECONDS, run)] += 1
        sums[_RUN_SUM] += run
        fields[_SERIALISE + bisect_left(SECONDS, serialise)] += 1
        sums[_SERIALISE_SUM] += serialise

    def record_batch(
        self, seconds: list[float], queue_seconds: list[float], parse: float, run: float, serialise: float
    ) -> None:
        """Counts requests that one call of `run()` answered with 200.

        `seconds` has the time that each took, `queue_seconds` the time that each waited. The rest, in seconds too, is
        the same for all.
        """
        fields, sums, count = self.fields, self._sums, len(seconds)
        fields[_STATUSES + 100] += count
        fields[ANSWERED] += count
        for start, values in ((_REQUEST, seconds), (_QUEUE, queue_seconds)):
            lowest, highest = bisect_left(SECONDS, min(values)), bisect_left(SECONDS, max(values))
            if lowest == highest:  # the usual case
                fields[start + lowest] += count
            else:
                for value in values:
                    fields[start + bisect_left(SECONDS, value)] += 1
            sums[start + _SUM] += sum(values)
        for start, value in ((_PARSE, parse), (_RUN, run), (_SERIALISE, serialise)):
            fields[start + bisect_left(SECONDS, value)] += count
            sums[start + _SUM] += value * count

    def observe(self, name: str, value: float, count: int = 1) -> None:
        """Adds `count` observations of `value` to a histogram."""
        start, bounds = _STARTS[name], HISTOGRAMS[name]
        self.fields[start + bisect_left(bounds, value)] += count
        self._sums[start + len(bounds) + 1] += value * count

    def observe_lone(self) -> None:
        """As `observe("batch", 1)`: a call of `run()` answered one request."""
        self.fields[_BATCH] += 1
        self._sums[_BATCH_SUM] += 1.0

    def begin_request(self, request_id: bytes) -> int:
        """Notes a request in flight. Returns the index for `end_request`; -1 when the request is only counted."""
        self.fields[IN_FLIGHT] += 1
        if not self._free:
            return -1
        index, size = self._free.pop(), len(request_id)
        start = index * _ID_BYTES
        _pack_id(self._ids, start + 1, request_id)
        self._ids[start] = size if size < _ID_BYTES else _ID_BYTES - 1  # last: a reader sees a complete id or none
        return index

    def end_request(self, index: int) -> None:
        self.fields[IN_FLIGHT] -= 1
        if index >= 0:
            self._ids[index * _ID_BYTES] = 0
            self._free.append(index)

    def end_requests(self, indices: list[int]) -> None:
        """As `end_request`, for several."""
        self.fields[IN_FLIGHT] -= len(indices)
        ids, free = self._ids, self._free
        for index in indices:
            if index >= 0:
                ids[index * _ID_BYTES] = 0
                free.append(index)

    def in_flight_ids(self) -> list[str]:
        """The ids of the requests that are not answered yet."""
        ids = []
        for start in range(0, MAX_NAMED_REQUESTS * _ID_BYTES, _ID_BYTES):
            if size := self._ids[start]:
                ids.append(bytes(self._ids[start + 1 : start + 1 + size]).decode("latin-1"))
        return ids

    def status_counts(self) -> Iterator[tuple[int, int]]:
        """Every status that was answered, with how often."""
        for offset in range(500):
            if count := self.fields[_STATUSES + offset]:
                yield offset + 100, count

    def read_histogram(self, name: str) -> tuple[list[int], float]:
        """The counts of a histogram's buckets, the last one without a bound, and the sum of the observed values."""
        start, size = _STARTS[name], len(HISTOGRAMS[name]) + 1
        return list(self.fields[start : start + size]), self._sums[start + size]

    def add_counts(self, other: Slot) -> None:
        """Adds the other slot's counts, but not its state (pid, requests in flight, connections)."""
        for status, count in other.status_counts():
            self.fields[_STATUSES + status - 100] += count
        self.fields[ANSWERED] += other.fields[ANSWERED]
        for name, start in _STARTS.items():
            counts, total = other.read_histogram(name)
            for offset, count in enumerate(counts):
                self.fields[start + offset] += count
            self._sums[start + len(counts)] += total

    def clear(self) -> None:
        self.fields[:] = memoryview(bytes(_FIELDS * 8)).cast("Q")
        for index in range(MAX_NAMED_REQUESTS):
            self._ids[index * _ID_BYTES] = 0
        self.state[:] = memoryview(bytes(_STATE_FIELDS * 8)).cast("Q")


class Others(NamedTuple):
    """What a worker sees of the other workers that accept connections: whether there are any, and whether one is free.

    `sooner`: one of them leaves no connections to others, or has been busy for a shorter time.
    """

    accepting: bool
    free: bool
    sooner: bool


class Scoreboard:
    """The shared memory. `fd` may be handed to another process, which opens it with `Scoreboard(fd)`.

    A file that it has made itself is closed when nothing refers to it any longer.

    Slot 0 keeps the counts of dead workers. Only the supervisor calls `assign_slot` and `retire_slot`.
    """

    def __init__(self, fd: int | None = None) -> None:
        size = _SERVICE_BYTES + SLOTS * _SLOT_BYTES
        if fd is None:
            fd = _create_memory_file()
            os.ftruncate(fd, size)  # pages that are never written take no memory
            weakref.finalize(self, os.close, fd).atexit = False
        self.fd = fd
        self._memory = mmap.mmap(fd, size)
        self.service_fields = memoryview(self._memory)[:_SERVICE_BYTES].cast("Q")
        self._words = memoryview(self._memory).cast("Q")
        self._assigned: set[int] = {0}
        self._lock = threading.Lock()

    def slot(self, number: int) -> Slot:
        return Slot(self._memory, number)

    def assign_slot(self) -> int:
        """The number of a free slot, which is cleared; 0, whose state is never read, when there is none."""
        with self._lock:
            number = next((n for n in range(1, SLOTS) if n not in self._assigned), 0)
            if number:
                self._assigned.add(number)
                self.slot(number).clear()
            return number

    def retire_slot(self, number: int) -> list[str]:
        """Frees a dead worker's slot, keeps its counts, and returns the ids of the requests that were in flight."""
        with self._lock:
            if number not in self._assigned or number == 0:
                return []
            slot = self.slot(number)
            lost = slot.in_flight_ids()
            self.service_fields[LOST] += max(slot.fields[IN_FLIGHT], len(lost))
            self.service_fields[CHANGES] += 1
            slot.fields[PID] = 0
            self.slot(0).add_counts(slot)
            slot.clear()
            self.service_fields[CHANGES] += 1
            self._assigned.discard(number)
            return lost

    def read_consistently(self, read: Callable[[], Found]) -> Found:
        """What `read` returns while no counts are being moved: a sum that decreases would look like a restart."""
        for _ in range(_READ_ATTEMPTS):
            before = self.service_fields[CHANGES]
            found = read()
            if before % 2 == 0 and self.service_fields[CHANGES] == before:
                return found
        return read()  # the supervisor died while it moved counts

    def active_slots(self) -> list[Slot]:
        """Slot 0 with the counts of the dead, then the slots of living workers."""
        return [self.slot(0), *(self.slot(n) for n in range(1, SLOTS) if self._read_pid(n))]

    def look_at_others(self, slot: Slot, since: int, busy_since: int) -> Others:
        """The other workers that accept connections for the same revision; free are those that accepted none `since`.

        `busy_since` is the time that the others are compared with.
        A worker with a call that continues after its deadline does not count: it may hang.
        """
        words, revision = self._words, slot.fields[REVISION]
        accepting = free = sooner = False
        own = (_SERVICE_BYTES + slot.number * _SLOT_BYTES) // 8
        for start in _SLOT_STARTS:
            if not words[start + PID] or start == own:  # first: it touches no further page of a slot that is free
                continue
            state = start + _STATE_START // 8
            if not words[state + ACCEPTING] or words[state + UNFINISHED]:
                continue
            if words[start + READY] and words[start + REVISION] == revision:
                accepting = True
                sooner = sooner or not words[state + LEAVING] or words[state + LEAVING] > busy_since
                free = free or (not words[start + IN_FLIGHT] and words[state + ACCEPTED_AT] <= since)
        return Others(accepting, free, sooner)

    def _read_pid(self, number: int) -> int:
        start = _SERVICE_BYTES + number * _SLOT_BYTES + PID * 8
        return int.from_bytes(self._memory[start : start + 8], "little")


def _create_memory_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("mldeploy-board", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
