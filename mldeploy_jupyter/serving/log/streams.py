"""Text streams that emit whole lines, each with the request that printed it."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

from .entry import MAX_TEXT

_MAX_UNFINISHED = 64  # threads with an unfinished line; when there are more, some of them have ended

_MAX_CONTINUED = 200  # characters of a flushed line that are written again with what follows; then only that is

REWRITE_SECONDS = 0.2  # between two entries of a line that is overwritten, such as a progress bar

Lines = list[tuple[Any, str]]


class _Flushed(NamedTuple):
    """What a terminal would show of a line that was flushed before its end. `rewinds`: what follows overwrites it."""

    request: Any
    text: str
    rewinds: bool
    time: float


class Stream(io.TextIOBase):
    """Replaces `sys.stdout` or `sys.stderr`.

    `emit(lines)` gets (request, text) pairs; `context()` returns the writing thread and its request. An unfinished line
    is held for its thread until its newline arrives, `flush` is called, or the thread prints for another request. What
    `flush` emits ends with a carriage return; the rest of that line, such as the next state of a progress bar, begins
    with one, and replaces it for readers (`core.text.without_overwritten`). States of a bar are emitted at most five
    times a second, and its last one. A line of more than 65,536 characters is emitted in pieces. `close` only flushes:
    the service continues, and so do later prints.
    """

    def __init__(
        self, fd: int, name: str, emit: Callable[[Lines], None], context: Callable[[], tuple[int, Any]]
    ) -> None:
        self._fd = fd
        self._emit = emit
        self._context = context
        self._held: dict[int, tuple[Any, list[str], int]] = {}  # by thread: request, parts, characters
        self._flushed: dict[int, _Flushed] = {}  # by thread
        self._bytes: dict[int, bytes] = {}  # by thread: the beginning of a character that was written as bytes
        self.name = name
        self.mode = "w"

    encoding = "utf-8"
    errors = "backslashreplace"
    newlines = None
    line_buffering = True
    write_through = True

    def write(self, text: str) -> int:
        """Raises `TypeError` when `text` is not a `str`."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        thread, request = self._context()
        held = self._held.pop(thread, None)
        flushed = self._flushed.get(thread) if self._flushed else None
        if flushed is not None and flushed.request != request:
            del self._flushed[thread]
            flushed = None
        lines: Lines = []
        if held is not None and held[0] != request:
            lines = _unfinished(held[0], "".join(held[1]))
            held = None
        if "\n" not in text:
            size = len(text) + (held[2] if held is not None else 0)
            if size <= MAX_TEXT:
                parts = held[1] if held is not None else []
                if text:
                    parts.append(text)
                if parts:
                    self._held[thread] = (request, parts, size)
                if lines:
                    self._emit(lines)
                if len(self._held) > _MAX_UNFINISHED:
                    self.flush_all()
                return len(text)
        whole = text if held is None else "".join(held[1]) + text
        *finished, rest = whole.split("\n")
        if flushed is not None:
            del self._flushed[thread]
            end = _continued(flushed, finished.pop(0))
            lines += [(request, end)] if end else []
        for line in finished:
            line = line.strip("\r")  # of CRLF, and of a progress bar that rewrites its line
            lines += [(request, line[start : start + MAX_TEXT]) for start in range(0, len(line) or 1, MAX_TEXT)]
        if len(rest) > MAX_TEXT:
            whole_pieces = (len(rest) - 1) // MAX_TEXT * MAX_TEXT
            lines += [(request, rest[start : start + MAX_TEXT]) for start in range(0, whole_pieces, MAX_TEXT)]
            rest = rest[whole_pieces:]
        if rest:
            self._held[thread] = (request, [rest], len(rest))
        if lines:
            self._emit(lines)
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Writes UTF-8, other bytes as escapes. A character may come in several calls of one thread."""
        thread = self._context()[0]
        data = self._bytes.pop(thread, b"") + data
        text, length = codecs.utf_8_decode(data, "backslashreplace", False)
        if length < len(data):
            self._bytes[thread] = data[length:]
        self.write(text)

    def flush(self) -> None:
        """Emits the unfinished line of this thread."""
        thread = self._context()[0]
        held = self._held.pop(thread, None)
        if held is None:
            return
        request, text, flushed = held[0], "".join(held[1]), self._flushed.get(thread)
        if flushed is not None and flushed.request != request:
            flushed = None
        if flushed is None:
            found = text.strip("\r")
        elif (text.startswith("\r") or flushed.rewinds) and monotonic() - flushed.time < REWRITE_SECONDS:
            self._held[thread] = held  # the next flush, the line's end or the process's emits it
            return
        else:
            found = _continued(flushed, text)
        if not found:
            return
        if len(self._flushed) > _MAX_UNFINISHED:
            self._flushed.clear()
        shown = found.rpartition("\r")[2]
        if flushed is not None and not found.startswith("\r"):  # longer than what is written again, and grows on
            shown = (flushed.text + shown)[: _MAX_CONTINUED + 1]
        self._flushed[thread] = _Flushed(request, shown, text.endswith("\r"), monotonic())
        self._emit([(request, f"{found}\r")])

    def flush_all(self) -> None:
        """Emits the unfinished lines of all threads."""
        lines: Lines = []
        for thread in list(self._bytes):
            self.write(self._bytes.pop(thread, b"").decode("utf-8", "backslashreplace"))
        for thread in list(self._held):
            held, flushed = self._held.pop(thread, None), self._flushed.pop(thread, None)
            if held is None:
                continue
            text = "".join(held[1])
            if flushed is not None and flushed.request == held[0]:
                text = _continued(flushed, text)
                lines += [(held[0], text)] if text else []
            else:
                lines += _unfinished(held[0], text)
        if lines:
            self._emit(lines)

    def discard(self) -> None:
        """Drops unfinished lines."""
        self._held.clear()
        self._flushed.clear()
        self._bytes.clear()

    @property
    def buffer(self) -> io.RawIOBase:
        return _Bytes(self)

    def reconfigure(self, **_: Any) -> None:
        """Does nothing: any text can be written as it is."""

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        self.flush()


class _Bytes(io.RawIOBase):
    """`sys.stdout.buffer`: decodes UTF-8 and escapes other bytes."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.name, self.mode = stream.name, "wb"

    def write(self, data: Any) -> int:
        with memoryview(data) as view:
            self._stream.write_bytes(bytes(view))
            return view.nbytes

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        self.flush()


def _continued(flushed: _Flushed, text: str) -> str:
    """What is emitted of `text`, which follows a flushed part of its line; "" for nothing."""
    found = text.strip("\r")
    if not found:
        return ""
    if text.startswith("\r") or flushed.rewinds:
        return "\r" + found.rpartition("\r")[2]
    if len(flushed.text) + len(text) <= _MAX_CONTINUED:
        return f"\r{flushed.text}{text}".rstrip("\r")
    return found


def _unfinished(request: Any, text: str) -> Lines:
    """A line that ended without a newline. A bare carriage return is not a line."""
    text = text.strip("\r")
    return [(request, text)] if text else []
