"""A server in a thread of its own, which answers while the loop of a test stands still."""

from __future__ import annotations

import socket
import threading

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n42"


class AnsweringThread:
    """Answers each request of one connection after so many seconds."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self._pause = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self._listening.getsockname()[1]}/score"
        self._thread = threading.Thread(target=self._answer, daemon=True)

    def _answer(self) -> None:
        try:
            accepted, _ = self._listening.accept()
            with accepted:
                while accepted.recv(65536):
                    self._pause.wait(self._seconds)
                    accepted.send(OK)
        except OSError:  # the test is over
            pass

    def __enter__(self) -> AnsweringThread:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._pause.set()
        self._listening.close()
