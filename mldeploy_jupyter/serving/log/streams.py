"""Text streams that give away whole lines, with the request that printed each."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from .entry import MAX_TEXT

_MANY = 64  # threads with half a line; more than that, and some of them have ended

Lines = list[tuple[Any, str]]


class Stream(io.TextIOBase):
    """In the place of `sys.stdout` or `sys.stderr`.

    `emit(lines)` gets pairs of request and text; `context()` says which thread writes and for which request. Half a
    line is kept for its thread until its end comes, `flush` is called, or the thread prints for another request; a
    line of more than 65,536 characters is given in pieces. `write` takes any text. `close` does nothing: the service
    goes on, and so do later prints.
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
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        thread, request = self._context()
        held = self._held.pop(thread, None)
        lines: Lines = []
        if held is not None and held[0] != request:
            lines = _whole(held[0], "".join(held[1]))
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
                if len(self._held) > _MANY:
                    self.flush_all()
                return len(text)
        whole = text if held is None else "".join(held[1]) + text
        *ended, rest = whole.split("\n")
        for line in ended:
            line = line.strip("\r")  # of CRLF, and of a progress bar that begins its line again
            lines += [(request, line[at : at + MAX_TEXT]) for at in range(0, len(line) or 1, MAX_TEXT)]
        while len(rest) > MAX_TEXT:
            lines.append((request, rest[:MAX_TEXT]))
            rest = rest[MAX_TEXT:]
        if rest:
            self._held[thread] = (request, [rest], len(rest))
        self._emit(lines)
        return len(text)

    def flush(self) -> None:
        """Ends the line that this thread has begun."""
        held = self._held.pop(self._context()[0], None)
        if held is not None and (lines := _whole(held[0], "".join(held[1]))):
            self._emit(lines)

    def flush_all(self) -> None:
        """Ends the lines of all threads."""
        lines: Lines = []
        for thread in list(self._held):
            held = self._held.pop(thread, None)
            if held is not None:
                lines += _whole(held[0], "".join(held[1]))
        if lines:
            self._emit(lines)

    def forget(self) -> None:
        """Drops the lines that have no end yet."""
        self._held.clear()

    @property
    def buffer(self) -> io.RawIOBase:
        return _Bytes(self)

    def reconfigure(self, **_: Any) -> None:
        """Accepted, as of the stream that was here before; any text can be written as it is."""

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        self.flush()


class _Bytes(io.RawIOBase):
    """`sys.stdout.buffer`: bytes that are text, in UTF-8; others are escaped."""

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


def _whole(request: Any, text: str) -> Lines:
    """A line that ends without its newline. A bare carriage return is no line."""
    text = text.strip("\r")
    return [(request, text)] if text else []
