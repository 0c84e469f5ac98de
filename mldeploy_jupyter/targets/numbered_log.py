"""A local service's log with a number for every line, which rotation, filters and the reader do not change.

The number of an entry's first line is that of its file plus the bytes before the entry, and its further lines have the
next ones. A file's number is the time of its first entry. So numbers follow from what is near a line, every reader
finds the same, and none has to read a long file from its beginning. They grow from file to file as long as a service
writes less than 4 MB a second. If it writes more, or the clock was set back, the numbers of a file continue after those
of the file before, while that is kept.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from mldeploy_jupyter.core.files import file_identity
from mldeploy_jupyter.core.lines.backwards import lines_backwards
from mldeploy_jupyter.targets.base import LogLine
from mldeploy_jupyter.targets.process_log import log_names, open_log_files, parse_line

SEVERAL_LINES = (b"\\n", b'"traceback"')  # one of these is in every entry that has more than one line

HEAD_BYTES = 256  # of a file, by which it is known to be the same one: inodes are used again

NUMBERS_A_MICROSECOND = 4  # more would be past what JavaScript has exactly (2**53) before 2041
LAST_BEGIN = 2**53 - 2**40  # of a file whose time is later than that

COUNTED_BYTES = 1 << 20  # read at once while lines are counted, which takes a millisecond


class NumberedLog:
    """The log at `path` with its rotated files. Safe to use from several threads.

    `refresh` finds out what was written; the other methods are about what was there at the last `refresh`. All of them
    take the same time however long the log is, except `count_until` and what is taken of `entries`.
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
        """Finds the end of what was written since the last call."""
        with self._lock:
            signature = _signature(self._path)
            if signature == self._signature:
                return
            known = {file.key: file for file in self._files}
            files, last = [], 0
            with ExitStack() as stack:
                opened = [stack.enter_context(file) for file in open_log_files(self._path)]
                for number, file in enumerate(opened):
                    head = file.read(HEAD_BYTES)
                    status = os.fstat(file.fileno())
                    key = file_identity(status)
                    found = known.get(key)
                    if found is None or not head.startswith(found.head) or status.st_size < found.size:
                        found = _File(key)
                    found.head = head
                    found.update(file, last + 1, include_torn=number < len(opened) - 1)
                    files.append(found)
                    last = max(last, found.last)
            self._files, self._signature = files, signature

    @property
    def first(self) -> int:
        """The number of the oldest line that is kept, 0 without one."""
        return next((file.begin for file in self._files if file.size), 0)

    @property
    def last(self) -> int:
        """The number of the newest line, 0 without one."""
        return next((file.last for file in reversed(self._files) if file.size), 0)

    def before_last(self, count: int) -> int:
        """The number after which the last `count` lines come."""
        with self._open_files() as files:
            for known, file in reversed(files):
                end = known.size
                for line in lines_backwards(file, end):
                    start = end - len(line)
                    end = start - 1
                    if start == known.size:
                        continue  # what follows the last newline: nothing
                    length = _count_lines(line)
                    if count < length:
                        return known.begin + start + length - 1 - count
                    count -= length
        return 0

    def count_until(self, number: int) -> int:
        """How many lines have at most this number. Lines that were counted before are not read again."""
        count = 0
        with self._open_files() as files:
            for known, file in files:
                if known.last <= number:
                    count += known.count(file, known.size)
                elif known.begin <= number:
                    start = known.start_of(file, number)
                    file.seek(start)
                    length = _count_lines(file.readline().rstrip(b"\n"))
                    count += known.count(file, start) + min(length, number - known.begin - start + 1)
        return count

    def entries(self, after: int = 0, may_match: Callable[[bytes], bool] | None = None) -> Iterator[LogLine]:
        """The entries that have a line with a higher number than `after`, oldest first; `number` is their first line's.

        `may_match` gets an entry as it is in the file; those for which it is false are left out. So is a file that is
        rotated away meanwhile.
        """
        with self._open_files() as files:
            for known, file in files:
                if known.last <= after:
                    continue
                position, size = known.start_of(file, after), known.size
                file.seek(position)
                for line in file:
                    if position >= size:
                        break
                    number = known.begin + position
                    position += len(line)
                    line = line.rstrip(b"\n")
                    if may_match is not None and not may_match(line):
                        continue
                    entry = parse_line(line, number)
                    if number > after or number + entry.text.count("\n") > after:
                        yield entry

    @contextmanager
    def _open_files(self) -> Iterator[list[tuple[_File, BinaryIO]]]:
        """Those of the files that have lines and are still there, oldest first."""
        known = [file for file in self._files if file.size]
        with ExitStack() as stack:
            opened = {
                file_identity(os.fstat(file.fileno())): file
                for file in map(stack.enter_context, open_log_files(self._path) if known else ())
            }
            yield [(file, opened[file.key]) for file in known if file.key in opened]


class _File:
    """One file of the log: the numbers of its first and its last line, and its size until then in bytes."""

    def __init__(self, key: tuple[int, int]) -> None:
        self.key = key
        self.head = b""
        self.begin = self.last = self.size = 0
        self._counted = self._lines = 0  # the bytes whose lines were counted, and how many these are
        self._counting = threading.Lock()

    def update(self, file: BinaryIO, minimum: int, *, include_torn: bool) -> None:
        """Finds the last line. Numbers begin at `minimum` at least. A torn line counts only if `include_torn`."""
        end = size = file.seek(0, os.SEEK_END)
        lines = lines_backwards(file, size)
        line = next(lines)
        if not (line and include_torn):
            size -= len(line)
            line = next(lines, b"")
            end = size - 1
        if size <= 0 or size == self.size:
            return
        if not self.size:
            file.seek(0)
            self.begin = max(minimum, _first_number(file.readline()))
        self.last = self.begin + end - len(line) + _count_lines(line) - 1
        self.size = size

    def start_of(self, file: BinaryIO, number: int) -> int:
        """Where the entry begins that has the line of this number, or that is the first after it."""
        offset = min(number - self.begin, self.size - 1)
        return offset - len(next(lines_backwards(file, offset))) if offset > 0 else 0

    def count(self, file: BinaryIO, end: int) -> int:
        """How many lines there are before the byte `end`, where an entry begins."""
        with self._counting:
            position, count = (self._counted, self._lines) if self._counted <= end else (0, 0)
            file.seek(position)
            rest = b""
            while position < end and (chunk := file.read(min(COUNTED_BYTES, end - position))):
                position += len(chunk)
                whole, newline, rest = (rest + chunk).rpartition(b"\n")
                count += whole.count(b"\n") + 1 + _further_lines(whole) if newline else 0
            count += _count_lines(rest) if rest else 0
            if position > self._counted:
                self._counted, self._lines = position, count
            return count


def _further_lines(content: bytes) -> int:
    """How many lines entries have beyond one each. Nearly all have one, and need not be parsed."""
    count = 0
    places = {mark: content.find(mark) for mark in SEVERAL_LINES}
    while found := [at for at in places.values() if at >= 0]:
        start, end = content.rfind(b"\n", 0, min(found)) + 1, content.find(b"\n", min(found))
        end = end if end >= 0 else len(content)
        count += _count_lines(content[start:end]) - 1
        places = {mark: content.find(mark, end) if 0 <= at < end else at for mark, at in places.items()}
    return count


def _count_lines(line: bytes) -> int:
    return parse_line(line).text.count("\n") + 1 if any(mark in line for mark in SEVERAL_LINES) else 1


def _first_number(line: bytes) -> int:
    """The number of a file with this first line. Small when it has no time."""
    try:
        milliseconds = round(datetime.fromisoformat(parse_line(line).time).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return 1
    return max(1, min(milliseconds * 1000 * NUMBERS_A_MICROSECOND, LAST_BEGIN))


def _signature(path: Path) -> tuple[Any, ...]:
    found: list[Any] = []
    for name in log_names(path):
        try:
            status = os.stat(name)
            found.append((status.st_dev, status.st_ino, status.st_size))
        except OSError:
            found.append(None)
    return tuple(found)
