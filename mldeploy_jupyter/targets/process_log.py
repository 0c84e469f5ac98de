"""Reads a local service's log file: the last lines, then those that come, across rotation."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mldeploy_jupyter.targets.base import LogLine

# What the supervisor puts before each line: time, then revision and worker in brackets.
_LINE = re.compile(r"^(\d{4}-\d\d-\d\dT[\d:.]+Z) \[([^\]]*)\] ?(.*)$", re.DOTALL)


def read_log(
    path: Path,
    *,
    tail: int | None = None,
    follow: Callable[[], bool] | None = None,
    wait: Callable[[float], Any] = lambda seconds: None,
) -> Iterator[LogLine]:
    """The lines of the log, oldest first, at most `tail` of them (None: all that is kept).

    With `follow`, goes on with new lines as they come while `follow()` is true, and opens the file again
    when it was rotated away.
    """
    lines: deque[str] = deque(maxlen=tail)
    for part in (*(path.with_name(f"{path.name}.{n}") for n in (3, 2, 1)), path):
        try:
            with part.open("r", encoding="utf-8", errors="backslashreplace") as file:
                lines.extend(line.rstrip("\n") for line in file)
                end, inode = file.tell(), os.fstat(file.fileno()).st_ino
        except FileNotFoundError:
            end, inode = 0, 0
    yield from map(_parse, lines)
    rest = b""
    while follow is not None:
        going = follow()
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_ino != inode:
                    inode, end = os.fstat(file.fileno()).st_ino, 0
                file.seek(end)
                chunk = file.read()
        except FileNotFoundError:
            chunk = b""
        end += len(chunk)
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (_parse(line.decode("utf-8", "backslashreplace")) for line in whole)
        if not going and not chunk:
            return
        if not chunk:
            wait(0.1)


def _parse(line: str) -> LogLine:
    match = _LINE.match(line)
    return LogLine(*match.groups()) if match else LogLine("", "", line)
