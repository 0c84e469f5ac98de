"""An index of where the lines of a log file begin, so that any page of a long log is read directly."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import IO

CHUNK_BYTES = 1 << 20


class LineIndex:
    """The lines of a file that only grows: the number of each and where it begins, 16 bytes a line.

    `number_of` gets each line without its newline, in order, and returns its number, or None for a line that counts
    for nothing. Numbers grow.
    """

    def __init__(self, number_of: Callable[[bytes], int | None]) -> None:
        self._number_of = number_of
        self._numbers, self._offsets = array("Q"), array("Q")
        self.end = 0  # of the last whole line, in bytes

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def first(self) -> int:
        """The number of the first line, 0 without one."""
        return self._numbers[0] if self._numbers else 0

    @property
    def last(self) -> int:
        """The number of the last line, 0 without one."""
        return self._numbers[-1] if self._numbers else 0

    def update(self, file: IO[bytes], *, include_torn: bool = False) -> None:
        """Reads what was appended. A last line without its newline is left out unless `include_torn`."""
        file.seek(self.end)
        rest = b""
        while chunk := file.read(CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._add(line, len(line) + 1)
        if rest and include_torn:
            self._add(rest, len(rest))

    def _add(self, line: bytes, size: int) -> None:
        number = self._number_of(line)
        if number is not None:
            self._numbers.append(number)
            self._offsets.append(self.end)
        self.end += size

    def number_at(self, index: int) -> int:
        """The number of the line at this index, which counts from 0 or, when negative, from the end."""
        return self._numbers[index]

    def count_before(self, number: int) -> int:
        """How many lines have a lower number."""
        return bisect_left(self._numbers, number)

    def read(self, file: IO[bytes], after: int = -1) -> Iterator[tuple[int, bytes]]:
        """Number and content of the lines that were indexed, from the last one with at most the number `after`."""
        index = max(0, bisect_right(self._numbers, after) - 1)
        if index >= len(self):
            return
        file.seek(self._offsets[index])
        position = self._offsets[index]
        for line in file:
            if index >= len(self):
                return
            if position == self._offsets[index]:
                yield self._numbers[index], line.rstrip(b"\n")
                index += 1
            position += len(line)
