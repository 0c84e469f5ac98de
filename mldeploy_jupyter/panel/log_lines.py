"""Lines of logs as the protocol has them, and the batches in which they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from mldeploy_jupyter.core.journal.journal import Event

LINES_A_BATCH = 500  # lines of one message
BYTES_A_BATCH = 1_000_000  # characters of one message, after the first line

Line = dict[str, Any]

LEVELS = ("debug", "info", "warning", "error")


def journal_line(event: Event, started: str) -> Line | None:
    """The event as a line of its deployment's log; None for one that is no line. `started` is the first event's time.

    The line's number is the event's `seq`, so it is the same for every reader.
    """
    if event.kind != "log":
        return None
    level = event.data.get("level", "")
    return {
        "n": event.seq,
        "time": event.time,
        "elapsedSeconds": seconds_between(started, event.time),
        "stage": event.stage,
        "level": level if level in LEVELS else "",
        "source": "",
        "revision": 0,
        "requestId": "",
        "text": event.text,
    }


def seconds_between(start: str, end: str) -> float | None:
    """Seconds between two times of a journal, never negative; None when one of them cannot be read."""
    try:
        seconds = (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
    except (ValueError, TypeError):
        return None
    return max(0.0, round(seconds, 3))


def batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """The lines in messages of at most 500, and of at most a megabyte unless one line alone is longer."""
    batch: list[Line] = []
    size = 0
    for line in lines:
        if batch and (len(batch) >= LINES_A_BATCH or size + len(line["text"]) > BYTES_A_BATCH):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line["text"])
    if batch:
        yield batch
