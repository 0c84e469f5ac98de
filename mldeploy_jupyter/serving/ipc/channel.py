"""Messages between a supervisor and its processes: JSON lines over a stream socket, with file descriptors."""

from __future__ import annotations

import json
import os
import select
import socket
from collections import deque
from collections.abc import Sequence
from threading import Lock
from typing import Any

MAX_DESCRIPTORS = 64  # in one message; the kernel takes 253


class Channel:
    """One end of a socket pair. Any thread may send; one thread receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = Lock()
        self._buffer = bytearray()
        self._fds: deque[int] = deque()

    def send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """Sends a message and copies of open file descriptors (`SCM_RIGHTS`); the originals stay open.

        Raises `OSError` when the other end is closed.
        """
        if fds:
            message = {**message, "fds": len(fds)}
        data = json.dumps(message, separators=(",", ":"), default=str).encode("utf-8", "backslashreplace") + b"\n"
        with self._lock:
            if fds:
                sent = socket.send_fds(self._sock, [data], list(fds))
                data = data[sent:]
            self._sock.sendall(data)

    def receive(self) -> tuple[dict[str, Any], list[int]] | None:
        """The next message and its descriptors; None when the other end is closed."""
        while (end := self._buffer.find(b"\n")) < 0:
            try:
                data, fds, _, _ = socket.recv_fds(self._sock, 65536, MAX_DESCRIPTORS)
            except OSError:
                return None
            for fd in fds:  # processes that a script starts must not inherit a client's connection
                os.set_inheritable(fd, False)
            self._fds.extend(fds)
            if not data:
                return None
            self._buffer += data
        message = json.loads(self._buffer[:end])
        del self._buffer[: end + 1]
        # A process that has reached its limit of open files gets fewer descriptors than were sent.
        expected = message.pop("fds", 0)
        return message, [self._fds.popleft() for _ in range(min(expected, len(self._fds)))]

    @property
    def has_message(self) -> bool:
        """Whether `receive` returns at once. A poll for the descriptor does not tell of what was read before."""
        return b"\n" in self._buffer

    def wait(self, seconds: float) -> bool:
        """Whether a message, or the end of the channel, comes within `seconds`."""
        if self.has_message:
            return True
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def fileno(self) -> int:
        return self._sock.fileno()

    def close_descriptor(self) -> None:
        """Closes this process's copy only, where another process continues using the same end."""
        self._sock.close()

    def close(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._sock.close()
