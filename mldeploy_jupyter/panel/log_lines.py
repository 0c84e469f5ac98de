"""Logs as the protocol has them: their lines, the pages and filters of a request, the batches of a subscription."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

from mldeploy_jupyter.core.text import strip_colours, without_overwritten

LINES_A_BATCH = 500  # lines of one message
CHARACTERS_A_BATCH = 1_000_000  # of one message, unless a single line is longer
LINES_A_PAGE = 1000  # of an answer that is not told how many
MAX_LINES_A_PAGE = 10_000
CHARACTERS_A_PAGE = 8_000_000
CHARACTERS_A_LINE = 8192  # that a view is sent; the download has all of them

Line = dict[str, Any]

LEVELS = ("debug", "info", "warning", "error")


class Log(Protocol):
    """A log whose lines have numbers. Those of a deployment and of a service are read alike."""

    @property
    def first(self) -> int:
        """The number of the oldest line that is kept, 0 without one."""
        ...

    @property
    def total(self) -> int:
        """How many lines are kept."""
        ...

    def before_last(self, count: int) -> int:
        """The number after which the last `count` lines come."""
        ...

    def lines(self, after: int = 0, wanted: LogFilter | None = None) -> Iterator[Line]:
        """The lines with a higher number, oldest first. Those that are not `wanted` may be left out."""
        ...


@dataclass(frozen=True)
class LogFilter:
    """Which lines are wanted. `level` warning includes errors; `search` is found in any case, colours left out."""

    stage: str = ""
    level: str = ""
    revision: int = 0
    search: str = ""

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any]) -> LogFilter:
        """The filter of a request."""
        given = {name: parameters[name] for name in ("stage", "level", "revision", "search") if name in parameters}
        return cls(**{**given, "search": given.get("search", "").casefold()})

    @property
    def is_empty(self) -> bool:
        return self == LogFilter()

    def matches(self, line: Line) -> bool:
        """Whether the line is wanted."""
        if self.stage and line["stage"] != self.stage:
            return False
        if self.level and line["level"] != "error" and (self.level == "error" or line["level"] != "warning"):
            return False
        if self.revision and line["revision"] != self.revision:
            return False
        if not self.search:
            return True
        text = line["text"]
        text = strip_colours(text) if "\x1b" in text else text
        return self.search in text.casefold() or self.search in line["requestId"].casefold()


def read_page(log: Log, parameters: dict[str, Any]) -> dict[str, Any]:
    """A page as the protocol has it: the lines after number `after`; without it, the last ones.

    `total` counts every line that passes the filter, `first` is the number of the oldest, and `complete` says that
    none follows the page.
    """
    wanted, after = LogFilter.from_parameters(parameters), parameters.get("after")
    limit = parameters.get("limit", LINES_A_PAGE)
    begin = 0 if not wanted.is_empty else log.before_last(limit) if after is None else after
    kept: deque[Line] = deque()
    size = total = first = 0
    complete = True
    for line in log.lines(begin, wanted):
        if not wanted.matches(line):
            continue
        total, first, length = total + 1, first or line["n"], len(line["text"])
        if after is None:
            kept.append(shorten_line(line))
            size += min(length, CHARACTERS_A_LINE)
            while len(kept) > limit or (size > CHARACTERS_A_PAGE and len(kept) > 1):
                size -= len(kept.popleft()["text"])
        elif line["n"] > after and complete:
            complete = len(kept) < limit and (not kept or size + length <= CHARACTERS_A_PAGE)
            if complete:
                kept.append(shorten_line(line))
                size += min(length, CHARACTERS_A_LINE)
            elif wanted.is_empty:  # nothing is left to count
                break
    if wanted.is_empty:
        total, first = log.total, log.first
    return {"lines": list(kept), "total": total, "first": first, "complete": complete}


def shorten_line(line: Line) -> Line:
    """The line as a view gets it: of a long one the beginning, and in `cut` how many characters are left out."""
    text = line["text"]
    if len(text) <= CHARACTERS_A_LINE:
        return line
    if "\r" in text:  # only the last state of what is overwritten is shown
        ends = (text[0] == "\r") * "\r", (text[-1] == "\r") * "\r"
        text = text.strip("\r").rpartition("\r")[2].join(ends)
    return {**line, "text": text[:CHARACTERS_A_LINE], "cut": max(0, len(text) - CHARACTERS_A_LINE)}


def all_text(lines: Iterable[Line], format_line: Callable[[Line], str]) -> str:
    """A log for a file, whole lines whatever their length; of a progress bar, its last state."""
    kept = without_overwritten(lines, lambda line: ((line["stage"], line["source"]), line["text"]))
    return "".join(f"{format_line(line)}\n" for line in kept)


def seconds_between(start: str, end: str) -> float | None:
    """Seconds between two times of a journal, never negative; None when one of them cannot be read."""
    try:
        seconds = (datetime.fromisoformat(end) - _parse_time(start)).total_seconds()
    except (ValueError, TypeError):
        return None
    return max(0.0, round(seconds, 3))


_parse_time = lru_cache(maxsize=32)(datetime.fromisoformat)  # of the begin, which all lines of a log share


def batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """The lines in messages of at most 500, and of at most a million characters unless one line alone is longer."""
    batch: list[Line] = []
    size = 0
    for line in lines:
        if batch and (len(batch) >= LINES_A_BATCH or size + len(line["text"]) > CHARACTERS_A_BATCH):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line["text"])
    if batch:
        yield batch
