"""The journal of a deployment: an append-only file of JSON lines, one `Event` a line, and how it is read.

Every view of a deployment reads this file; a runner and its viewers share nothing else.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

from mldeploy_jupyter.core.copying import write_all
from mldeploy_jupyter.core.files import UNREADABLE, make_private_dir
from mldeploy_jupyter.core.lines.backwards import lines_backwards
from mldeploy_jupyter.core.patience import Patience, Wait, current_patience
from mldeploy_jupyter.core.records import utc_now
from mldeploy_jupyter.core.storage_errors import may_come_back

_FIELDS = {"seq", "time", "stage", "kind", "text", "data"}

_ONLY_PLAIN = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS

_MOST_EVENTS = 2**53  # a damaged `seq` may be any number

READ_BYTES = 1_000_000  # of a journal at a time

Kind = Literal["started", "log", "progress", "finished", "state", "failed"]

# The stages in their order, with their titles.
STAGES: dict[str, str] = {
    "check": "Check",
    "bundle": "Bundle",
    "environment": "Environment",
    "image": "Build image",
    "push": "Push image",
    "rollout": "Roll out",
    "probe": "Probe",
    "switch": "Switch traffic",
}


@dataclass(frozen=True)
class Event:
    """One line of a journal.

    `seq` counts from 1. `time` is UTC with milliseconds. `stage` is a key of `STAGES`, or "" for the deployment as a
    whole. `kind` is one of:

    - `started`, and `finished` or `failed`: once for each stage; `data["seconds"]` is its monotonic duration;
    - `log`: one raw line of output, of the step `data["step"]` if it has one;
    - `progress`: `data["fraction"]` (0 to 1), or only a text; with `data["step"]`, the title of a step, of that step;
    - `state`: a new state of the deployment, `data["state"]`: running, live, failed, cancelled or interrupted.

    The last `state` or `failed` event of a failed deployment has `data["cause"]`.
    """

    seq: int
    time: str
    stage: str
    kind: Kind
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)


class Journal:
    """Appends events to a file, which one process writes and any number read.

    Every event is one `write` of one line, so only the last line a reader sees can be torn. A journal that a dead
    runner left is continued: `seq` counts on, and a torn last line is ended. `now` returns the time stamp of an event.

    An unavailable disk is waited for, as long as the patience of the thread that made this object. A full one loses
    events, but fails no deployment: the store has the deployment's end. Without `create`, its folder must exist,
    and is waited for. Raises `OSError` when it cannot be opened or written; one that is not `required` loses its events
    instead.
    """

    def __init__(
        self, path: Path, now: Callable[[], str] = utc_now, *, create: bool = True, required: bool = True
    ) -> None:
        self.path = path
        self._now = now
        self._lock = threading.Lock()
        # The notes of the wait go to the journal, which is unavailable itself.
        self._patience = Patience(current_patience().seconds)
        self._required = required
        self._fd = -1
        self._seq = 0
        try:
            if create:
                self._waiting_for_disk(lambda: make_private_dir(path.parent))
            self._waiting_for_disk(self._open)
        except OSError:
            if required:
                raise

    def write(self, stage: str, kind: Kind, text: str = "", **data: Any) -> Event:
        """Appends an event; `data` must be serialisable, or have a `str`."""
        with self._lock:
            self._seq += 1
            event = Event(self._seq, self._now(), stage, kind, text, data)
            # Not synced to the disk: after a power failure the store says how the deployment ended.
            content = _dump(event)
            try:
                self._waiting_for_disk(lambda: self._append(content))
            except OSError as error:
                if self._required and error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
        return event

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:  # it was not closed
            self._close_quietly()

    def _open(self) -> None:
        last = read_last_event(self.path)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._seq = max(self._seq, last.seq if last is not None else 0)
        if _ends_torn(self.path):
            os.write(self._fd, b"\n")

    def _append(self, content: bytes) -> None:
        if self._fd < 0:
            self._open()
        try:
            write_all(self._fd, memoryview(content))
        except OSError:
            self._close_quietly()  # it may have written a part of the line, and what is back needs another descriptor
            raise

    def _close_quietly(self) -> None:
        fd, self._fd = self._fd, -1
        with suppress(OSError):
            os.close(fd)

    def _waiting_for_disk(self, step: Callable[[], object]) -> None:
        wait = Wait("the journal", self._patience)
        folder = self.path.parent if self._patience.is_long else None
        while True:
            try:
                step()
                return
            except OSError as error:
                if not may_come_back(error, folder) or not wait.pause(str(error)):
                    raise


class JournalReader:
    """Reads the events appended since the last read.

    A last line without its newline is held back until it is complete; a line that is not an event is skipped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._partial_line = b""

    @property
    def offset(self) -> int:
        """The number of bytes that were read so far."""
        return self._offset

    def read(self, limit: int = READ_BYTES) -> list[Event]:
        """The new events in the next `limit` bytes; empty when nothing was appended, or when there is no file yet."""
        return list(parse_events(self._read_lines(limit)))

    def read_all(self) -> Iterator[Event]:
        """The new events up to the end of the file, of which a part is in memory at a time."""
        while True:
            begin = self._offset
            yield from parse_events(self._read_lines(READ_BYTES))
            if self._offset - begin < READ_BYTES:
                return

    def _read_lines(self, limit: int) -> list[bytes]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                chunk = file.read(limit)
        except UNREADABLE:
            return []
        self._offset += len(chunk)
        *lines, self._partial_line = (self._partial_line + chunk).split(b"\n")
        return lines


def read_events(path: Path) -> Iterator[Event]:
    """All events, a complete last line without a newline included. A torn line is skipped.

    No events where there is no file that can be read.
    """
    try:
        file = path.open("rb")
    except UNREADABLE:
        return
    with file:
        yield from parse_events(file)


def parse_events(lines: Iterable[bytes]) -> Iterator[Event]:
    """The events of a journal's lines, as `read_events`."""
    return (event for line in lines if (event := parse_event(line)) is not None)


def follow_events(
    path: Path,
    *,
    stop: Callable[[], bool],
    sleep: Callable[[float], Any] = time.sleep,
    interval: float = 0.05,
) -> Iterator[Event]:
    """The events as they are written, until `stop()` returns true and nothing is left to read.

    `stop` is called only when there is no new event, and the file is read once more after it returned true, so
    that an event written in between is not lost. `interval` is the time between two reads in seconds.
    """
    reader = JournalReader(path)
    stopping = False
    while True:
        is_new = False
        for event in reader.read_all():
            is_new = True
            yield event
        if not is_new:
            if stopping:
                return
            stopping = stop()
            if not stopping:
                sleep(interval)


def read_last_event(path: Path) -> Event | None:
    """The last whole event of a journal; None where there is none, or no journal. Reads no more than that takes."""
    try:
        file = path.open("rb")
    except UNREADABLE:
        return None
    with file:
        return next(parse_events(lines_backwards(file)), None)


def _ends_torn(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def parse_event(line: bytes) -> Event | None:
    """The event of a journal's line; None for a damaged one. What a newer version adds to it is left out."""
    try:
        fields = _load(line)
        event = Event(
            **fields if fields.keys() <= _FIELDS else {name: fields[name] for name in _FIELDS & fields.keys()}
        )
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    texts = isinstance(event.time, str) and isinstance(event.stage, str) and isinstance(event.kind, str)
    usable = texts and isinstance(event.text, str) and isinstance(event.data, dict)
    return event if usable and isinstance(event.seq, int) and 0 < event.seq < _MOST_EVENTS else None


def _dump(event: Event) -> bytes:
    """The line of an event, with its newline."""
    fields = event.__dict__  # not `asdict`, which copies `data` and takes three times as long as the rest
    try:
        return orjson.dumps(fields, option=_ONLY_PLAIN | orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate, an integer beyond 64 bits, or what has only a `str`
        line = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=str)
        return line.encode("utf-8", "backslashreplace") + b"\n"


def _load(line: bytes) -> Any:
    try:
        return orjson.loads(line)  # four times as fast, which a view of a long journal waits for
    except ValueError:  # a lone surrogate or NaN, which the standard library reads, too
        return json.loads(line)
