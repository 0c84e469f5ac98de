"""Reads a file of lines from its end, since readers of a long log or journal mostly want its last lines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

BLOCK_BYTES = 1 << 16  # read at a time; some hundred lines


def lines_backwards(file: BinaryIO, end: int | None = None) -> Iterator[bytes]:
    """The lines before the byte `end` (None: the end of the file), the last one first, without their newlines.

    The first is what follows the last newline: empty when the last line is whole. Blocks are read as lines are asked
    for, so the time depends on what is taken and not on the size of the file.
    """
    position = file.seek(0, os.SEEK_END) if end is None else end
    pieces: list[bytes] = []  # of the line whose beginning has not been read, its end first
    while position > 0:
        start = max(0, position - BLOCK_BYTES)
        file.seek(start)
        first, *lines = file.read(position - start).split(b"\n")
        if lines:
            yield lines.pop() + b"".join(reversed(pieces))
            yield from reversed(lines)
            pieces = []
        pieces.append(first)
        position = start
    yield b"".join(reversed(pieces))
