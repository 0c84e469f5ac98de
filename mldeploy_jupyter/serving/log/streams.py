"""Text streams that emit whole lines, each with the request that printed it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from .entry import MAX_TEXT

_MAX_UNFINISHED = 64  # threads with an unfinished line; when there are more, some of them have ended

Lines = list[tuple[Any, str]]


class Stream(io.TextIOBase):
    """Replaces `sys.stdout` or `sys.stderr`.

    `emit(lines)` gets (request, text) pairs; `context()` returns the writing thread and its request. An unfinished line
    is held for its thread until its newline arrives, `flush` is called, or the thread prints for another request. A
    line of more than 65,536 characters is emitted in pieces. `close` only flushes: the service goes on, and so do
    later prints.
    """

    def __init__(
        self, fd: int, name: str, emit: Callable[[Lines], None], context: Callable[[], tuple[int, Any]]
    ) -> None:
        self._fd = fd
        self._emit = emit
        self._context = context
        self._held: dict[int, tuple[Any, list[str], int]] = {}  # by thread: request, parts, characters
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
        for line in finished:
            line = line.strip("\r")  # of CRLF, and of a progress bar that rewrites its line
            lines += [(request, line[start : start + MAX_TEXT]) for start in range(0, len(line) or 1, MAX_TEXT)]
        if len(rest) > MAX_TEXT:
            whole_pieces = (len(rest) - 1) // MAX_TEXT * MAX_TEXT
            lines += [(request, rest[start : start + MAX_TEXT]) for start in range(0, whole_pieces, MAX_TEXT)]
            rest = rest[whole_pieces:]
        if rest:
            self._held[thread] = (request, [rest], len(rest))
        self._emit(lines)
        return len(text)

    def flush(self) -> None:
        """Emits the unfinished line of this thread."""
        held = self._held.pop(self._context()[0], None)
        if held is not None and (lines := _unfinished(held[0], "".join(held[1]))):
            self._emit(lines)

    def flush_all(self) -> None:
        """Emits the unfinished lines of all threads."""
        lines: Lines = []
        for thread in list(self._held):
            held = self._held.pop(thread, None)
            if held is not None:
                lines += _unfinished(held[0], "".join(held[1]))
        if lines:
            self._emit(lines)

    def discard(self) -> None:
        """Drops unfinished lines."""
        self._held.clear()

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
            self._stream.write(bytes(view).decode("utf-8", "backslashreplace"))
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


def _unfinished(request: Any, text: str) -> Lines:
    """A line that ended without a newline. A bare carriage return is not a line."""
    text = text.strip("\r")
    return [(request, text)] if text else []
