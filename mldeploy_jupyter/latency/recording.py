"""The file of raw samples: one record of 64 bytes for each request, appended while the run is in progress.

All times are seconds since the run began, on the monotonic clock. A reader leaves a torn last record.

    planned     f8  when the request should have left; in a closed loop, when its user was free to send it
    sent        f8  when its bytes were written; nan when they never were: dropped, refused, no connection in time
    done        f8  when the answer was whole or the failure was known; of a time-out, the moment it was due
    service     u2  index into the plan's services
    revision    u2  the revision that answered (x-mldeploy-revision), 0 when unknown
    status      u2  HTTP status, 0 without an answer
    outcome     u1  see `Outcome`
    phase       u1  see `Phase`
    block       u4  number of the block, from 0
    step        u2  step of a ramp, from 0
    queue, parse, run, serialise  f4  milliseconds, from Server-Timing; nan when absent
    lag         f4  milliseconds by which the generator itself was late
    connect     f4  milliseconds that a new connection took; nan when there was one

Latency is `done - planned`, service time `done - sent`.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class Outcome(IntEnum):
    """What became of a request."""

    OK = 0
    CLIENT_ERROR = 1  # HTTP 4xx
    SERVER_ERROR = 2  # HTTP 5xx
    TIMEOUT = 3
    NO_CONNECTION = 4  # refused, reset, or closed before the answer
    BROKEN_ANSWER = 5  # no HTTP, or a redirect
    DROPPED = 6  # never sent: no connection was free before its time-out
    UNAUTHORISED = 7  # 401 or 403
    THROTTLED = 8  # 429
    UNFINISHED = 9  # under way when the run ended: it took longer than `done` says
    UNAVAILABLE = 10  # 503 with Retry-After: nothing serves, or it has too many requests


class Phase(IntEnum):
    COLD_START = 0
    WARM_UP = 1
    MEASURED = 2


PARTS = ("queue", "parse", "run", "serialise")  # of Server-Timing, in the order in which they happen

RECORD = struct.Struct("<dddHHHBBIHxxffffff")

FIELDS = (
    ("planned", "<f8"), ("sent", "<f8"), ("done", "<f8"), ("service", "<u2"), ("revision", "<u2"), ("status", "<u2"),
    ("outcome", "u1"), ("phase", "u1"), ("block", "<u4"), ("step", "<u2"), ("", "V2"), ("queue", "<f4"),
    ("parse", "<f4"), ("run", "<f4"), ("serialise", "<f4"), ("lag", "<f4"), ("connect", "<f4"),
)  # fmt: skip


def sample_dtype() -> np.dtype[Any]:
    """The numpy type of one record."""
    import numpy as np

    named = [(name, kind) for name, kind in FIELDS if name]
    offsets, at = [], 0
    for name, kind in FIELDS:
        if name:
            offsets.append(at)
        at += np.dtype(kind).itemsize
    return np.dtype(
        {"names": [n for n, _ in named], "formats": [k for _, k in named], "offsets": offsets, "itemsize": RECORD.size}
    )


def read_samples(path: Path, skip: int = 0) -> np.ndarray[Any, Any]:
    """The records of the file from number `skip` on, as an array of their own; empty when there is no file yet."""
    import numpy as np

    try:
        with path.open("rb") as file:
            file.seek(skip * RECORD.size)
            content = file.read()
    except FileNotFoundError:
        content = b""
    return np.frombuffer(content[: len(content) // RECORD.size * RECORD.size], sample_dtype()).copy()
