"""A connection is checked before anything is sent on it."""

from __future__ import annotations

import gc
import socket
import weakref
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread

import pytest

from mldeploy_jupyter.core.errors import ScoringError
from mldeploy_jupyter.core.scoring_client import NothingSent, ScoringClient
from tests.polling import wait_until

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n1"

END = b"end"


class Listener:
    """Answers every request, `per_connection` of them on a connection, and keeps what it received."""

    def __init__(self, per_connection: int = 100, answer: bytes = ANSWER) -> None:
        self.per_connection, self.answer = per_connection, answer
        self.received: list[bytes] = []
        self.closed = 0  # connections
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = self.socket.getsockname()
        self.uri = f"http://127.0.0.1:{self.address[1]}/score"
        self.thread = Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        with self.socket:
            while True:
                connection, _ = self.socket.accept()
                with connection, suppress(ConnectionError):
                    data = connection.recv(65536)
                    if data == END:
                        return
                    self.received.append(data)
                    for _ in range(self.per_connection - 1):
                        if not data:
                            break
                        connection.sendall(self.answer)
                        data = connection.recv(65536)
                        self.received[-1] += data
                    if data:
                        connection.sendall(self.answer)
                self.closed += 1

    def close(self) -> list[bytes]:
        """What was received, a piece for each connection."""
        if self.thread.is_alive():
            with socket.create_connection(self.address) as last:
                last.sendall(END)
        self.thread.join(60)
        return self.received


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.close()


def test_nothing_is_sent_on_a_refused_connection(listener: Listener) -> None:
    client = ScoringClient(listener.uri, lambda: "secret", refuse=lambda: "it is somebody else")
    with pytest.raises(NothingSent) as caught:
        client.run({"data": 1})
    assert caught.value.why == "it is somebody else" and caught.value.status_code is None
    client.close()
    assert listener.close() == [b""]


def test_a_connection_is_checked_once_and_each_new_one_again(listener: Listener) -> None:
    reasons = ["", "", "it is somebody else"]
    client = ScoringClient(listener.uri, lambda: "secret", refuse=lambda: reasons.pop(0))
    assert [client.run({"data": n}) for n in range(3)] == [1, 1, 1] and len(reasons) == 2
    client.close()
    assert client.run({"data": 3}) == 1 and len(reasons) == 1
    client.close()


def test_a_connection_that_broke_is_not_replaced_unchecked() -> None:
    listener = Listener(per_connection=1)
    reasons = ["", "it is somebody else"]
    client = ScoringClient(listener.uri, lambda: "secret", refuse=lambda: reasons.pop(0))
    assert client.run({"data": 1}) == 1
    wait_until(lambda: listener.closed == 1, what="the end of the first connection")
    with pytest.raises(NothingSent):
        client.run({"data": 2})
    client.close()
    assert [bool(data) for data in listener.close()] == [True, False]


def test_an_address_elsewhere_is_refused_before_connecting(listener: Listener) -> None:
    for uri in (listener.uri.replace("127.0.0.1", "127.0.0.2"), "https://192.0.2.1/score"):
        client = ScoringClient(uri, lambda: "secret", refuse=lambda: "it is elsewhere", timeout=5)
        with pytest.raises(NothingSent, match="nothing was sent"):
            client.run({"data": 1})
    assert listener.close() == []


def test_tls_is_checked_too(listener: Listener) -> None:
    client = ScoringClient(listener.uri.replace("http:", "https:"), lambda: "secret", refuse=lambda: "no", timeout=1)
    with pytest.raises(ScoringError):
        client.run({"data": 1})
    assert b"secret" not in b"".join(listener.close())


def test_a_redirect_is_not_followed() -> None:
    target = Listener()
    redirect = f"HTTP/1.1 307 Elsewhere\r\nlocation: {target.uri}\r\ncontent-length: 0\r\n\r\n"
    listener = Listener(answer=redirect.encode())
    client = ScoringClient(listener.uri, lambda: "secret", refuse=lambda: "")
    assert client.post(b"{}").status_code == 307
    client.close()
    assert target.close() == [] and len(listener.close()) == 1


def test_a_client_that_is_used_no_more_is_freed_with_its_connections(listener: Listener) -> None:
    class Owner:
        """As a service: what checks its connections belongs to it, and it has the client."""

        def __init__(self) -> None:
            self.client = ScoringClient(listener.uri, self.key, refuse=self.refuse)

        def key(self) -> str:
            return ""

        def refuse(self) -> str:
            return ""

    owner = Owner()
    owner.client.run(b"1")
    freed = weakref.ref(owner)
    del owner
    gc.collect()
    assert freed() is None
    wait_until(lambda: listener.closed == 1)
