"""Answers 503 while no worker is there at all, so that a client is told and not left hanging."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable

_BODY = (
    b'{"message":"no revision is serving","error":{"code":"not-serving","where":"",'
    b'"hint":"The service\'s log says why; deploying again may help."}}'
)

_ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(_BODY)
) + _BODY

LOOK = 0.2  # seconds between two looks whether a worker has come

PATIENCE = 0.5  # seconds for a client to send its request, and to read the answer


class UnavailableResponder:
    """Takes connections while `absent` is set. `listener()` gives the socket of the moment."""

    def __init__(self, listener: Callable[[], socket.socket]) -> None:
        self.absent = threading.Event()
        self.absent.set()
        self._listener = listener
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self.absent.wait()
            try:
                listener = self._listener()
                readable, _, _ = select.select([listener], [], [], LOOK)
                if readable and self.absent.is_set():
                    _answer(listener.accept()[0])
            except (OSError, ValueError):
                # The socket was changed or closed, or a worker was quicker.
                threading.Event().wait(LOOK)


def _answer(connection: socket.socket) -> None:
    with connection:
        connection.settimeout(PATIENCE)
        try:
            connection.recv(65536)
            connection.sendall(_ANSWER)
            connection.shutdown(socket.SHUT_WR)
            end = time.monotonic() + PATIENCE  # others wait
            while time.monotonic() < end and connection.recv(65536):
                pass
        except OSError:
            pass
