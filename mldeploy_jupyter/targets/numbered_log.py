"""A local service's log with a number for every line, which rotation, filters and the reader do not change.

A file's numbers begin with the time of its first entry, in microseconds since 1970; each further line has the next one.
So they follow from the file alone, and every reader finds the same. They grow from file to file as long as a service
writes less than a million lines a second. If the clock was set back in between, they go on after those of the file
before, while that is kept.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.files import file_identity
from mldeploy_jupyter.core.lines.index import LineIndex
from mldeploy_jupyter.targets.base import LogLine
from mldeploy_jupyter.targets.process_log import log_names, open_log_files, parse_line

SEVERAL_LINES = (b"\\n", b'"traceback"')  # one of these is in every entry that has more than one line

HEAD_BYTES = 256  # of a file, by which it is known to be the same one: inodes are used again


class NumberedLog:
    """The log at `path` with its rotated files. Safe to use from several threads.

    `refresh` finds out what was written; the other methods are about what was there at the last `refresh`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: list[_File] = []
        self._signature: tuple[Any, ...] = ()
        self._lock = threading.Lock()

    def signature(self) -> tuple[Any, ...]:
        """Changes whenever something was written or rotated. It costs a `stat` for each file."""
        return _signature(self._path)

    def refresh(self) -> None:
        """Indexes what was written since the last call."""
        with self._lock:
            signature = _signature(self._path)
            if signature == self._signature:
                return
            known = {file.key: file for file in self._files}
            files, end = [], 0
            with ExitStack() as stack:
                opened = [stack.enter_context(file) for file in open_log_files(self._path)]
                for number, file in enumerate(opened):
                    head = file.read(HEAD_BYTES)
                    key = file_identity(os.fstat(file.fileno()))
                    found = known.get(key)
                    if found is None or not head.startswith(found.head):
                        found = _File(key)
                    found.head = head
                    found.begin_after(end)
                    found.index.update(file, include_torn=number < len(opened) - 1)
                    files.append(found)
                    end = max(end, found.end)
            self._files, self._signature = files, signature

    @property
    def first(self) -> int:
        """The number of the oldest line that is kept, 0 without one."""
        return next((file.index.first for file in self._files if len(file.index)), 0)

    @property
    def last(self) -> int:
        """The number of the newest line, 0 without one."""
        return next((file.end - 1 for file in reversed(self._files) if len(file.index)), 0)

    @property
    def total(self) -> int:
        """How many lines are kept."""
        return sum(file.end - file.index.first for file in self._files if len(file.index))

    def before_last(self, count: int) -> int:
        """The number after which the last `count` lines come."""
        for file in reversed(self._files):
            length = file.end - file.index.first if len(file.index) else 0
            if count < length:
                return file.end - 1 - count
            count -= length
        return 0

    def entries(self, after: int = 0, may_match: Callable[[bytes], bool] | None = None) -> Iterator[LogLine]:
        """The entries that have a line with a higher number than `after`, oldest first; `number` is their first line's.

        `may_match` gets an entry as it is in the file; those for which it is false are left out. So is a file that is
        rotated away meanwhile.
        """
        files = [file for file in self._files if len(file.index) and file.end - 1 > after]
        with ExitStack() as stack:
            opened = {
                file_identity(os.fstat(file.fileno())): file
                for file in map(stack.enter_context, open_log_files(self._path))
            }
            for file in files:
                if file.key in opened:
                    for number, line in file.index.read(opened[file.key], after):
                        if may_match is not None and not may_match(line):
                            continue
                        entry = parse_line(line, number)
                        if number > after or number + entry.text.count("\n") > after:
                            yield entry


class _File:
    """One file of the log. `end` is the number after its last line."""

    def __init__(self, key: tuple[int, int]) -> None:
        self.key = key
        self.head = b""
        self.end = 0
        self._minimum = 1
        self.index = LineIndex(self._number, self._number_all)

    def begin_after(self, end: int) -> None:
        """Numbers begin at `end` at least. Only before the first line is read."""
        if not len(self.index):
            self._minimum = max(1, end)

    def _number(self, line: bytes) -> int:
        number = self.end or max(self._minimum, _microseconds(line))
        # Most entries have one line. What it says in JSON may have several.
        several = any(mark in line for mark in SEVERAL_LINES)
        self.end = number + (parse_line(line).text.count("\n") + 1 if several else 1)
        return number

    def _number_all(self, lines: list[bytes], content: bytes, starts: list[int]) -> Iterable[int]:
        several = {bisect_right(starts, at) - 1 for mark in SEVERAL_LINES for at in _find_all(content, mark)}
        if lines and not self.end:
            several.add(0)  # its time is the number
        numbers: list[int] = []
        for at in [*sorted(several), len(lines)]:
            count = at - len(numbers)
            numbers.extend(range(self.end, self.end + count))
            self.end += count
            if at < len(lines):
                numbers.append(self._number(lines[at]))
        return numbers


def _find_all(content: bytes, mark: bytes) -> Iterator[int]:
    at = content.find(mark)
    while at >= 0:
        yield at
        at = content.find(mark, at + 1)


def _microseconds(line: bytes) -> int:
    """The time of an entry in microseconds since 1970; 0 when the line has none."""
    try:
        return round(datetime.fromisoformat(parse_line(line).time).timestamp() * 1000) * 1000
    except (ValueError, OverflowError, OSError):
        return 0


def _signature(path: Path) -> tuple[Any, ...]:
    found: list[Any] = []
    for name in log_names(path):
        try:
            status = os.stat(name)
            found.append((status.st_dev, status.st_ino, status.st_size))
        except OSError:
            found.append(None)
    return tuple(found)
