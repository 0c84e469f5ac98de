"""The log of a deployment: the lines of its journal, numbered by their events. `deployment.log` and `.logText`."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator
from typing import IO, Any

from mldeploy_jupyter.core.journal.journal import Event, parse_event
from mldeploy_jupyter.core.lines.index import LineIndex
from mldeploy_jupyter.core.text import WHOLE, clean, one_line
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.deployments.timelines import Deployment, find_deployment, open_journal
from mldeploy_jupyter.panel.log_lines import LEVELS, Line, LogFilter, all_text, read_page, seconds_between

# How `core/journal/journal.py` begins a line. Any other line is parsed to learn what it is.
_HEAD = re.compile(rb'\{"seq":(\d{1,15}),"time":"([^"\\]*)","stage":"[^"\\]*","kind":"([a-z]+)"')


def journal_line(event: Event, started: str) -> Line | None:
    """The event as a line of the log, None for one that is not a line. `started` is the time of the journal's begin.

    The line's number is the event's `seq`, so it is the same for every reader.
    """
    if event.kind != "log":
        return None
    level = event.data.get("level", "") if isinstance(event.data, dict) else ""
    return {
        "n": event.seq,
        "time": event.time,
        "elapsedSeconds": seconds_between(started, event.time),
        "stage": event.stage,
        "level": level if level in LEVELS else "",
        "source": "",
        "revision": 0,
        "requestId": "",
        "text": str(event.text),
        **({"step": one_line(step)} if isinstance(step := event.data.get("step"), str) and step else {}),
    }


class JournalLog:
    """The log of one deployment. `refresh` finds out what was written; all else is about what was there then."""

    def __init__(self) -> None:
        self._found: Deployment | None = None
        self._index = LineIndex(self._number)
        self._started = ""
        self._lock = threading.Lock()

    def refresh(self, found: Deployment) -> JournalLog:
        """Indexes what was written since the last call. Safe to call from any thread."""
        with self._lock:
            self._found = found
            with self._open() as file:
                self._index.update(file)
        return self

    def _open(self) -> IO[bytes]:
        return open_journal(self._found) if self._found is not None else io.BytesIO()

    @property
    def first(self) -> int:
        return self._index.first

    @property
    def last(self) -> int:
        return self._index.last

    @property
    def total(self) -> int:
        return len(self._index)

    def before_last(self, count: int) -> int:
        """The number after which the last `count` lines come."""
        return self._index.number_at(-count - 1) if 0 <= count < len(self._index) else 0

    def count_after(self, number: int) -> int:
        """How many lines have a higher number."""
        return len(self._index) - self._index.count_before(number + 1)

    def lines(self, after: int = 0, wanted: LogFilter | None = None) -> Iterator[Line]:
        with self._open() as file:
            for number, raw in self._index.read(file, after):
                event = parse_event(raw) if number > after else None
                line = journal_line(event, self._started) if event is not None else None
                if line is not None:
                    yield line

    def _number(self, line: bytes) -> int | None:
        head = _HEAD.match(line)
        if head is not None:
            self._started = self._started or head[2].decode("utf-8", "replace")
            return int(head[1]) if head[3] == b"log" else None
        event = parse_event(line)
        if event is None:
            return None
        self._started = self._started or str(event.time)
        return event.seq if event.kind == "log" and isinstance(event.seq, int) and event.seq >= 0 else None


def open_log(context: PanelContext, parameters: dict[str, Any]) -> tuple[Deployment, JournalLog]:
    """The deployment that a request names, and its log up to now."""
    found = find_deployment(context, parameters["deployment"], parameters.get("workspace", ""))
    return found, read_log(context, found)


def read_log(context: PanelContext, found: Deployment) -> JournalLog:
    """The deployment's log up to now."""
    return context.kept(("deployment", found.folder.id, found.record.id), JournalLog).refresh(found)


def answer_log(context: PanelContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """The answer to `deployment.log`."""
    return read_page(open_log(context, parameters)[1], parameters)


def answer_log_text(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `deployment.logText`: every line with its time and stage, for a file."""
    found, log = open_log(context, parameters)
    return {"name": f"{found.record.service}-{found.record.id}.log", "text": all_text(log.lines(), format_line)}


def format_line(line: Line) -> str:
    """A line of a deployment's log as text: the seconds since the beginning, the stage, the line without colours."""
    elapsed = line["elapsedSeconds"]
    stamp = format_elapsed(elapsed) if elapsed is not None else ""
    return f"{stamp:>11}  {line['stage']:<11}  {clean(line['text'], colour=False, limit=WHOLE)}".rstrip()


def format_elapsed(seconds: float) -> str:
    """`0:36.418`, `1:02:07.500`."""
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:06.3f}" if hours else f"{minutes}:{rest:06.3f}"
