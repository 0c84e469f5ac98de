"""The journal of a deployment: an append-only file of JSON lines, one `Event` a line.

Whatever shows a deployment reads this file; nothing else passes between the runner and its viewers.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mldeploy_jupyter.core.records import utc_now

Kind = Literal["started", "log", "progress", "finished", "state", "failed"]

# Stage ids in their order, with the words every surface shows (design/README.md, "Anatomy").
STAGES: dict[str, str] = {
    "check": "Check",
    "bundle": "Bundle",
    "environment": "Environment",
    "push": "Push image",
    "rollout": "Roll out",
    "probe": "Probe",
    "switch": "Switch traffic",
}


@dataclass(frozen=True)
class Event:
    """One line of a journal.

    `seq` counts from 1. `time` is UTC with milliseconds. `stage` is a key of `STAGES`, or "" for what
    concerns the whole deployment. `kind`: a stage has one `started` and one `finished` or `failed`
    (`data["seconds"]` is its duration on the monotonic clock); `log` is one raw line of output;
    `progress` carries `data["fraction"]` (0 to 1) or only a text; `state` says a new state of the
    deployment (`data["state"]`: running, live, failed, cancelled, interrupted). The last `failed` or
    `state` event of a failed deployment carries `data["cause"]`.
    """

    seq: int
    time: str
    stage: str
    kind: Kind
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)


class Journal:
    """Appends events to a file. One process writes; any number read.

    Every event is one `write` of one whole line, so a reader sees at most one torn line, the last.
    A journal that a dead runner left is continued: `seq` goes on and a torn last line is closed off.
    `clock` gives the wall-clock time stamp.
    """

    def __init__(self, path: Path, clock: Callable[[], str] = utc_now) -> None:
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        events = list(read_events(path)) if path.exists() else []
        self._seq = events[-1].seq if events else 0
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        if _ends_torn(path):
            os.write(self._fd, b"\n")

    def write(self, stage: str, kind: Kind, text: str = "", **data: Any) -> Event:
        with self._lock:
            self._seq += 1
            event = Event(self._seq, self._clock(), stage, kind, text, data)
            line = json.dumps(asdict(event), ensure_ascii=False, separators=(",", ":"), default=str)
            os.write(self._fd, line.encode("utf-8", "backslashreplace") + b"\n")
        return event

    def close(self) -> None:
        os.close(self._fd)


class JournalReader:
    """Reads the events appended since the last read.

    A last line without its newline is held back until it is complete; a line that is not an event is skipped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._partial_line = b""

    def read(self) -> list[Event]:
        """The new events; empty when nothing was appended, or when there is no file yet."""
        lines = self._read_lines()
        return [event for line in lines if (event := _parse_event(line)) is not None]

    def _read_lines(self) -> list[bytes]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                chunk = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(chunk)
        *lines, self._partial_line = (self._partial_line + chunk).split(b"\n")
        return lines


def read_events(path: Path) -> Iterator[Event]:
    """All events, a complete last line without a newline included. A torn line is skipped; no file, no events."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    for line in content.splitlines():
        event = _parse_event(line)
        if event is not None:
            yield event


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
        events = reader.read()
        yield from events
        if not events:
            if stopping:
                return
            stopping = stop()
            if not stopping:
                sleep(interval)


def _ends_torn(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _parse_event(line: bytes) -> Event | None:
    try:
        return Event(**json.loads(line))
    except (ValueError, TypeError):
        return None
