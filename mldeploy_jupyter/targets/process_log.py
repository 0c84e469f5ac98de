"""Reads a local service's log file: its last entries, then new ones as they come, across rotation."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from mldeploy_jupyter.core.files import file_identity
from mldeploy_jupyter.core.lines.backwards import lines_backwards
from mldeploy_jupyter.serving.log import entry
from mldeploy_jupyter.targets.base import LogLine

_ROTATED_FILES = 3  # that the supervisor keeps; `.1` is the newest

_POLL_SECONDS = 0.1  # between two reads while following

# Older versions, and the supervisor's own standard error, write: time, then revision and worker in brackets, then text.
_PLAIN_LINE = re.compile(r"^(\d{4}-\d\d-\d\dT[\d:.]+Z) \[([^\]]*)\] ?(.*)$", re.DOTALL)


def read_log(
    path: Path,
    *,
    tail: int | None = None,
    follow: Callable[[], bool] | None = None,
    wait: Callable[[float], Any] = lambda seconds: None,
) -> Iterator[LogLine]:
    """The entries of the log, oldest first, at most `tail` of them (None: all that are kept).

    With `follow`, new entries are yielded as they come, until `follow()` returns false and nothing is left. Entries
    written between two reads are not lost unless more files are rotated in that time than are kept.
    """
    with contextlib.closing(_LogReader(path)) as reader:
        lines = reader.read_last(tail, include_torn=follow is None)
        yield from map(parse_line, lines)
        while follow is not None:
            going_on = follow()
            lines = reader.read_new()
            yield from map(parse_line, lines)
            if not lines:
                if not going_on:
                    return
                wait(_POLL_SECONDS)


def parse_line(line: bytes, number: int = 0) -> LogLine:
    """An entry written by this or an older version; any other line is all text."""
    if line.startswith(b"{") and (data := _parse_entry(line)) is not None:
        return LogLine(
            str(data["time"]),
            entry.source_of(data),
            entry.text_of(data),
            str(data.get("level", "")),
            tuple(entry.ids_of(data)),
            data,
            number,
        )
    text = line.decode("utf-8", "backslashreplace")
    match = _PLAIN_LINE.match(text)
    time, source, text = match.groups() if match else ("", "", text)
    return LogLine(time, source, text, number=number)


def _parse_entry(line: bytes) -> dict[str, Any] | None:
    """As `entry.parse_line`, several times as fast for nearly all entries."""
    try:
        data = orjson.loads(line)
    except ValueError:  # such as half of a surrogate pair, which older versions wrote
        return entry.parse_line(line)
    return data if isinstance(data, dict) and "time" in data and "logger" in data else None


def log_names(path: Path) -> list[Path]:
    """The names of the log's files, newest first, whether they are there or not."""
    return [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, _ROTATED_FILES + 1))]


def open_log_files(path: Path) -> list[BinaryIO]:
    """Opens the files that the log has, oldest first, for the caller to close."""
    return _open_newer(path, None)


class _LogReader:
    """Keeps the newest file it knows open, so that the file can be read to its end after it was rotated away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._partial_line = b""  # the last line, whose end is not written yet

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def read_last(self, tail: int | None, include_torn: bool) -> list[bytes]:
        """The last lines of all files. Without `include_torn`, a torn last line is left to `read_new`."""
        found: list[bytes] = []
        for file in reversed(_open_newer(self._path, None)):
            missing = None if tail is None else tail - len(found)
            if self._file is None:
                self._file = file
                found, self._partial_line = _read_last_lines(file, missing)
                found += [self._partial_line] if include_torn and self._partial_line else []
                continue
            if missing is None or missing > 0:
                lines, torn = _read_last_lines(file, missing)
                found = [*lines, *([torn] if torn else []), *found]  # the end of a torn line is never written
            file.close()
        return found if tail is None else found[len(found) - min(tail, len(found)) :]

    def read_new(self) -> list[bytes]:
        """The lines written since the last call."""
        lines = self._read()
        files = _open_newer(self._path, self._file)
        if files:
            # The old file may have grown between the read above and its rotation, but cannot grow now.
            lines += self._read()
        for file in files:
            lines += [self._partial_line] if self._partial_line else []
            self._partial_line = b""
            self.close()
            self._file = file
            lines += self._read()
        return lines

    def _read(self) -> list[bytes]:
        if self._file is None:
            return []
        *lines, self._partial_line = (self._partial_line + self._file.read()).split(b"\n")
        return lines


def _open_newer(path: Path, known: BinaryIO | None) -> list[BinaryIO]:
    """Opens the log's files that are newer than `known`, oldest first; all of them if it is None or no longer kept.

    They are opened from the newest to the oldest: a rotation meanwhile then shows one file twice and hides none.
    """
    stop = file_identity(os.fstat(known.fileno())) if known is not None else None
    files: list[BinaryIO] = []
    seen = set()
    for name in log_names(path):
        try:
            file = name.open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
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


def _read_last_lines(file: BinaryIO, count: int | None) -> tuple[list[bytes], bytes]:
    """The last `count` whole lines of a file (None: all), and what follows them without a newline.

    The file then is at the end of what was read.
    """
    if count is None:
        *lines, torn = file.read().split(b"\n")
        return lines, torn
    end = file.seek(0, os.SEEK_END)
    torn, *found = itertools.islice(lines_backwards(file, end), count + 1)
    file.seek(end)
    return found[::-1], torn
