"""Reads a worker's standard output and error, on the supervisor's side.

Workers write entries themselves (`writer`). At 20,000 requests a second the supervisor shares a core with them, so it
handles chunks, not lines: a chunk that holds entries only goes to the file with one write.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from .entry import LEADER, parse_line, text_of

PIPE_BYTES = 1024 * 1024  # how far a worker may be ahead of the supervisor; the kernel's 64 KiB would block it

_CHUNK = 256 * 1024  # bytes read at once

_MAX_RAW_LINE = 64 * 1024  # bytes, or characters, of a line that is not an entry; a longer one is split

_MAX_ENTRY = 4 * 1024 * 1024  # bytes of an entry; `writer` stays far below

_TAIL_LINES = 50

_ACCESS = b',"logger":"access",'

_LEADER = LEADER.encode()


class Tail:
    """The last 50 lines that are not about requests, kept raw and formatted only after a failure."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque(maxlen=_TAIL_LINES)

    def add(self, lines: bytes) -> None:
        self._lines.extend(without_requests(lines))

    def texts(self) -> list[str]:
        lines = [(line, parse_line(line)) for line in list(self._lines)]
        return [text for line, entry in lines for text in _text(line, entry).split("\n")][-_TAIL_LINES:]


def without_requests(lines: bytes) -> list[bytes]:
    """The lines that are not entries of the access log."""
    if lines.count(_ACCESS) == lines.count(b"\n"):
        return []
    return [line for line in lines[:-1].split(b"\n") if _ACCESS not in line]


def texts_without_requests(lines: bytes) -> Iterator[tuple[str, str]]:
    """What the script printed and the server logged, as a person reads it: each line with its level."""
    for line in without_requests(lines):
        entry = parse_line(line)
        level = "info" if entry is None else str(entry.get("level", "info"))
        yield from ((text, level) for text in _text(line, entry).split("\n"))


def enlarge_pipe(fd: int) -> None:
    """Lets a worker keep writing while the supervisor is busy."""
    with contextlib.suppress(ImportError, AttributeError, OSError):  # not available, or not permitted, everywhere
        import fcntl

        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


class OutputReader:
    """Reads a worker's pipe. `on_lines` gets chunks of whole lines, all of them entries.

    A line without `mark` did not come through Python's streams: `wrap` makes an entry of its text.
    """

    def __init__(self, fd: int, mark: str, wrap: Callable[[str], bytes], on_lines: Callable[[bytes], None]) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._leader = (LEADER + mark).encode()
        self._wrap = wrap
        self._on_lines = on_lines
        self._rest = b""
        self._ended = False
        self._lock = threading.Lock()  # held from the read until `on_lines` has returned

    def run(self) -> None:
        """Reads the pipe to its end and closes it."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        try:
            while not self._ended:
                poll.poll()
                with self._lock:
                    self._read_chunk()
        finally:
            with self._lock:
                self._ended = True
                os.close(self._fd)

    def flush(self) -> None:
        """When this returns, `on_lines` has the lines that are in the pipe now. Any thread may call it."""
        taken = 0
        with self._lock:
            while not self._ended and taken < PIPE_BYTES and (count := self._read_chunk()):
                taken += count

    def _read_chunk(self) -> int:
        """Handles what can be read at once; returns how many bytes that were. Ends where the pipe does."""
        try:
            chunk = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return 0
        except OSError:
            chunk = b""
        rest, leader = self._rest, self._leader
        if not chunk:
            self._ended, self._rest = True, b""
            if rest:
                self._on_lines(_to_entries(rest + b"\n", leader, self._wrap))
            return 0
        lines = rest + chunk if rest else chunk
        end = lines.rfind(b"\n") + 1
        lines, rest = (lines, b"") if end == len(lines) else (lines[:end], lines[end:])
        if lines:
            self._on_lines(_to_entries(lines, leader, self._wrap))
        if len(rest) > (_MAX_ENTRY if leader in rest else _MAX_RAW_LINE):
            end = codecs.utf_8_decode(rest, "backslashreplace", False)[1]  # between two characters
            self._on_lines(_to_entries(rest[:end] + b"\n", leader, self._wrap))
            rest = rest[end:]
        self._rest = rest
        return len(chunk)


def _to_entries(lines: bytes, leader: bytes, wrap: Callable[[str], bytes]) -> bytes:
    """Strips the mark from marked entries and wraps everything else, also text before a mark on the same line."""
    if lines.startswith(leader):
        parts = lines[len(leader) :].split(b"\n" + leader)
        entries = b"\n".join(parts)
        if entries.count(b"\n") == len(parts) and _LEADER not in entries:  # one mark a line: the usual chunk
            return entries
    out = []
    for line in lines[:-1].split(b"\n"):
        raw, *marked = line.split(leader)
        if raw or not marked:
            text = raw.decode("utf-8", "backslashreplace")
            for start in range(0, len(text) or 1, _MAX_RAW_LINE):
                out.append(wrap(text[start : start + _MAX_RAW_LINE]))
        for part in marked:
            # An entry may be torn: by the end of a killed process, or by a child's output in the middle.
            whole = parse_line(part) is not None
            out.append(part + b"\n" if whole else wrap(part.decode("utf-8", "backslashreplace")))
    return b"".join(out)


def _text(line: bytes, entry: dict[str, Any] | None) -> str:
    return line.decode("ascii", "backslashreplace") if entry is None else text_of(entry)
