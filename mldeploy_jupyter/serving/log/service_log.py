"""The service's log, as the supervisor keeps it: one file of entries (`entries.py`), rotated by size.

Workers write entries themselves (`output.py`). At 20,000 requests a second the supervisor shares a core with them, so
it looks at chunks, not at lines: what is all entries goes to the file with one write.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any

from . import entry as entries

PIPE = 1024 * 1024  # bytes that a worker may be ahead of us; the kernel's own 64 KiB would hold it up

_CHUNK = 256 * 1024  # bytes read at once

_MAX_LINE = 64 * 1024  # bytes of a raw line; a longer one is cut into pieces

_MAX_ENTRY = 4 * 1024 * 1024  # bytes of an entry; `output.py` keeps far below

_LEADER = b"\x1e"  # as in `output.py`, which the supervisor does not import

_TAIL = 50  # lines


class ServiceLog:
    """The file, rotated to `.1` .. `.<keep>` at `max_bytes`. Only the supervisor writes it."""

    def __init__(self, path: Path, max_bytes: int = 10 * 1024 * 1024, keep: int = 3) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._lock = Lock()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open()

    def write(self, text: str, *, level: str = "info", **fields: Any) -> None:
        """An entry of the supervisor's own."""
        self.append(entries.make(text, level=level, logger="supervisor", pid=os.getpid(), **fields))

    def append(self, lines: bytes) -> None:
        """Whole lines, as they are. A full disk loses them, never the service."""
        with self._lock:
            if self._size + len(lines) > self._max_bytes and self._size:
                self._rotate()
            view = memoryview(lines)
            try:
                while view:
                    view = view[os.write(self._fd, view) :]
            except OSError:
                pass
            self._size += len(lines)

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        """The old file stays open until the new one is: its number must never come to mean something else."""
        old = self._fd
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # somebody may have tidied up
            for number in range(self._keep - 1, 0, -1):
                older = Path(f"{self.path}.{number}")
                if older.exists():
                    older.replace(f"{self.path}.{number + 1}")
            if self.path.exists():
                self.path.replace(f"{self.path}.1")
            self._open()
        except OSError:
            self._size = 0  # goes on in the old file; the next attempt is one file's length away
            return
        os.close(old)


class Tail:
    """The last lines that are no requests, kept as they came and read only when something went wrong."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque(maxlen=_TAIL)

    def add(self, lines: bytes) -> None:
        self._lines.extend(others(lines))

    def texts(self) -> list[str]:
        return [text for line in list(self._lines) for text in _text(line).split("\n")][-_TAIL:]


def others(lines: bytes) -> list[bytes]:
    """The lines that are no requests."""
    if lines.count(_ACCESS) == lines.count(b"\n"):
        return []
    return [line for line in lines[:-1].split(b"\n") if _ACCESS not in line]


def texts(lines: bytes) -> Iterator[str]:
    """What the script printed and the server said, for a person, line by line; requests are left out."""
    for line in others(lines):
        yield from _text(line).split("\n")


def widen(fd: int) -> None:
    """Lets a worker write on while the supervisor is busy."""
    with contextlib.suppress(ImportError, AttributeError, OSError):  # not every system can, or lets us
        import fcntl

        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE)


def read_output(fd: int, mark: str, wrap: Callable[[str], bytes], on_lines: Callable[[bytes], None]) -> None:
    """Gives what arrives on a worker's pipe, in chunks of whole lines that all are entries; closes it at the end.

    A line that has no `mark` did not come through Python's streams: `wrap` makes an entry of its text.
    """
    leader = _LEADER + mark.encode()
    rest = b""
    try:
        while chunk := os.read(fd, _CHUNK):
            chunk = rest + chunk if rest else chunk
            end = chunk.rfind(b"\n") + 1
            lines, rest = (chunk, b"") if end == len(chunk) else (chunk[:end], chunk[end:])
            if lines:
                on_lines(_entries(lines, leader, wrap))
            if len(rest) > (_MAX_ENTRY if leader in rest else _MAX_LINE):
                on_lines(_entries(rest + b"\n", leader, wrap))
                rest = b""
    except OSError:
        pass
    finally:
        os.close(fd)
    if rest:
        on_lines(_entries(rest + b"\n", leader, wrap))


def _entries(lines: bytes, leader: bytes, wrap: Callable[[str], bytes]) -> bytes:
    """Whole lines as entries. Those with the mark are; what comes before it in a line, or has none, is wrapped."""
    count = lines.count(b"\n")
    if lines.startswith(leader) and lines.count(b"\n" + leader) == count - 1:
        bare = lines.replace(leader, b"")
        if len(bare) == len(lines) - count * len(leader):
            return bare
    out = []
    for line in lines[:-1].split(b"\n"):
        raw, *ours = line.split(leader)
        if raw or not ours:
            out += [wrap(raw[at : at + _MAX_LINE].decode("utf-8", "backslashreplace")) for at in _pieces(raw)]
        # One that a killed process, or a child's output in the middle, left torn is no entry.
        out += [
            part + b"\n" if entries.parse(part) else wrap(part.decode("utf-8", "backslashreplace")) for part in ours
        ]
    return b"".join(out)


def _pieces(raw: bytes) -> range:
    return range(0, len(raw) or 1, _MAX_LINE)


def _text(line: bytes) -> str:
    entry = entries.parse(line)
    return line.decode("ascii", "backslashreplace") if entry is None else entries.text_of(entry)


_ACCESS = b',"logger":"access",'
