"""Answers 503 while a service has no worker at all, so that clients do not hang."""

from __future__ import annotations

import select
import socket
import threading
import time
from contextlib import suppress

_BODY = (
    b'{"message":"no revision is serving","error":{"code":"not-serving","where":"",'
    b'"hint":"The service\'s log says why; deploying again may help."}}'
)

_RESPONSE = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(_BODY)
) + _BODY

CHECK_INTERVAL = 0.2  # seconds after which a pause is noticed

CLIENT_WAIT = 0.5  # seconds for a client to send its request, and again to read the response


class UnavailableResponder:
    """Accepts connections in a thread and answers them with 503, between `answer_on` and `pause`.

    Once `pause` or `end` has returned, it accepts none; those that it has are still answered.
    """

    def __init__(self) -> None:
        self._active = threading.Event()
        self._ended = False
        self._lock = threading.Lock()
        threading.Thread(target=self._run, daemon=True, name="unavailable").start()

    def answer_on(self, listener: socket.socket) -> None:
        self._listener = listener
        self._active.set()

    def pause(self) -> None:
        with self._lock:
            self._active.clear()

    def end(self) -> None:
        """As `pause`, forever."""
        with self._lock:
            self._ended = True
            self._active.set()  # the thread may be waiting for it

    def _run(self) -> None:
        while True:
            self._active.wait()
            if self._ended:
                return
            try:
                poll = select.poll()  # not `select`, which takes no descriptor above 1023
                poll.register(self._listener, select.POLLIN)
                if poll.poll(CHECK_INTERVAL * 1000) and (connection := self._accept()) is not None:
                    _answer(connection)
            except (OSError, ValueError):
                # The socket was closed, or a new worker accepted the connection first.
                time.sleep(CHECK_INTERVAL)

    def _accept(self) -> socket.socket | None:
        with self._lock:
            if self._ended or not self._active.is_set():
                return None
            return self._listener.accept()[0]  # does not block


def _answer(connection: socket.socket) -> None:
    with connection:
        connection.settimeout(CLIENT_WAIT)
        try:
            with suppress(TimeoutError):  # a client that the machine keeps waiting finds the answer when it has sent
                connection.recv(65536)
            connection.sendall(_RESPONSE)
            connection.shutdown(socket.SHUT_WR)
            # Closing with unread bytes would reset the connection; one slow client must not block the others.
            deadline = time.monotonic() + CLIENT_WAIT
            while time.monotonic() < deadline and connection.recv(65536):
                pass
        except OSError:
            pass
