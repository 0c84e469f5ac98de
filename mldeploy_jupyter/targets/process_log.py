"""Reads a local service's log file: the last entries, then those that come, across rotation."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mldeploy_jupyter.core.files import file_identity
from mldeploy_jupyter.serving.log import entry as entries
from mldeploy_jupyter.targets.base import LogLine

_KEPT = 3  # rotated files, `.1` is the newest

# A line of an older version, or of the supervisor's own standard error: time, then revision and worker in brackets.
_LINE = re.compile(r"^(\d{4}-\d\d-\d\dT[\d:.]+Z) \[([^\]]*)\] ?(.*)$", re.DOTALL)


def read_log(
    path: Path,
    *,
    tail: int | None = None,
    follow: Callable[[], bool] | None = None,
    wait: Callable[[float], Any] = lambda seconds: None,
) -> Iterator[LogLine]:
    """The entries of the log, oldest first, at most `tail` of them (None: all that is kept).

    With `follow`, goes on with new ones as they come while `follow()` is true. What is written while nobody looks is
    not lost, as long as no more than the kept files are rotated in that time.
    """
    with contextlib.closing(_Follower(path)) as follower:
        lines = follower.last(tail, torn=follow is None)
        yield from map(parse, lines)
        while follow is not None:
            going = follow()
            lines = follower.more()
            yield from map(parse, lines)
            if not lines:
                if not going:
                    return
                wait(0.1)


def parse(line: bytes) -> LogLine:
    """An entry, whatever version wrote it."""
    if line.startswith(b"{") and (entry := entries.parse_line(line)) is not None:
        return LogLine(
            str(entry["time"]),
            entries.source_of(entry),
            entries.text_of(entry),
            str(entry.get("level", "")),
            tuple(entries.ids_of(entry)),
            entry,
        )
    text = line.decode("utf-8", "backslashreplace")
    match = _LINE.match(text)
    return LogLine(match[1], match[2], match[3]) if match else LogLine("", "", text)


class _Follower:
    """Has the newest file that it knows open, so that it can be read to its end after it was rotated away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""  # of a line whose end is not written yet

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def last(self, tail: int | None, torn: bool) -> list[bytes]:
        """The last lines of all files, a `torn` last one too; else `more` gives it when it is whole."""
        found: list[bytes] = []
        for file in reversed(_open_after(self._path, None)):
            if self._file is None:
                self._file = file
                *found, self._rest = file.read().split(b"\n")
                found += [self._rest] if torn and self._rest else []
                continue
            if tail is None or len(found) < tail:
                found = _ended(file.read()) + found
            file.close()
        return found if tail is None else found[len(found) - min(tail, len(found)) :]

    def more(self) -> list[bytes]:
        """What was written since the last time."""
        lines = self._read()
        files = _open_after(self._path, self._file)
        if files:
            lines += self._read()  # it was written on between the read before and its rotation, never after
        for file in files:
            lines += [self._rest] if self._rest else []
            self._rest = b""
            self.close()
            self._file = file
            lines += self._read()
        return lines

    def _read(self) -> list[bytes]:
        if self._file is None:
            return []
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return lines


def _open_after(path: Path, known: BinaryIO | None) -> list[BinaryIO]:
    """The log's files that are newer than `known` (None, or no longer kept: all), oldest first, open.

    They are opened from the newest to the oldest: a rotation in between then shows a file twice, and none is missed.
    """
    stop = file_identity(os.fstat(known.fileno())) if known is not None else None
    files: list[BinaryIO] = []
    seen = set()
    for name in (path, *(path.with_name(f"{path.name}.{number}") for number in range(1, _KEPT + 1))):
        try:
            file = name.open("rb")
        except FileNotFoundError:
            continue
        identity = file_identity(os.fstat(file.fileno()))
        if identity == stop:
            file.close()
            break
        if identity in seen:
            file.close()
            continue
        seen.add(identity)
        files.append(file)
    return files[::-1]


def _ended(data: bytes) -> list[bytes]:
    """The lines of a file that nobody writes any more; a torn last one counts."""
    lines = data.split(b"\n")
    return lines if lines[-1] else lines[:-1]
