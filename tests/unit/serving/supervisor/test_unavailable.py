"""The answer of a port behind which no worker is."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from mldeploy_jupyter.serving.supervisor.unavailable import UnavailableResponder
from mldeploy_jupyter.serving.system.listening_socket import open_listener
from tests.polling import wait_until


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    listener = open_listener("127.0.0.1", 0)
    yield listener
    listener.close()


def send_request(listener: socket.socket, timeout: float = 60) -> bytes:
    with socket.create_connection(listener.getsockname(), timeout=timeout) as client:
        client.sendall(b"POST /score HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}")
        response = b""
        while chunk := client.recv(65536):
            response += chunk
        return response


def test_every_client_gets_a_503_that_is_complete(listener: socket.socket) -> None:
    UnavailableResponder().answer_on(listener)
    for _ in range(2):
        head, _, body = send_request(listener).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1" in head
        assert f"content-length: {len(body)}".encode() in head
        assert json.loads(body)["error"]["code"] == "not-serving"


def test_a_slow_client_does_not_block_the_next(listener: socket.socket) -> None:
    UnavailableResponder().answer_on(listener)
    with socket.create_connection(listener.getsockname()):  # sends nothing
        assert send_request(listener).startswith(b"HTTP/1.1 503 ")


def test_a_client_that_sends_late_is_answered_all_the_same(listener: socket.socket) -> None:
    UnavailableResponder().answer_on(listener)
    with socket.create_connection(listener.getsockname(), timeout=60) as client:
        assert send_request(listener)  # the first one has been given up by now
        client.sendall(b"POST /score HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}")
        assert client.recv(65536).startswith(b"HTTP/1.1 503 ")


def test_while_it_is_paused_connections_are_left_to_the_workers(listener: socket.socket) -> None:
    responder = UnavailableResponder()
    responder.answer_on(listener)
    assert send_request(listener)
    responder.pause()
    with pytest.raises(TimeoutError):
        send_request(listener, timeout=0.3)


class HeldListener:
    """Accepts a connection only when it may."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.accepting, self.may_accept = threading.Event(), threading.Event()

    def fileno(self) -> int:
        return self._listener.fileno()

    def accept(self) -> tuple[socket.socket, object]:
        self.accepting.set()
        assert self.may_accept.wait(60)
        return self._listener.accept()


@pytest.mark.parametrize("stop", ["pause", "end"])
def test_after_a_pause_nothing_is_accepted_however_slow_its_thread_is(listener: socket.socket, stop: str) -> None:
    held, responder = HeldListener(listener), UnavailableResponder()
    responder.answer_on(held)  # type: ignore[arg-type]
    with socket.create_connection(listener.getsockname(), timeout=60) as client:
        assert held.accepting.wait(60)
        stopping = threading.Thread(target=getattr(responder, stop))
        stopping.start()
        stopping.join(0.2)
        assert stopping.is_alive()
        held.may_accept.set()
        stopping.join(60)
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 503"
    held.accepting.clear()
    with pytest.raises(TimeoutError):
        send_request(listener, timeout=0.5)
    assert not held.accepting.is_set()


def test_its_thread_ends(listener: socket.socket) -> None:
    before = set(threading.enumerate())
    responder = UnavailableResponder()
    responder.answer_on(listener)
    responder.pause()
    responder.end()
    wait_until(lambda: set(threading.enumerate()) <= before)


def test_it_survives_the_end_of_its_socket_and_goes_on_with_the_next(listener: socket.socket) -> None:
    responder = UnavailableResponder()
    closed = open_listener("127.0.0.1", 0)
    responder.answer_on(closed)
    closed.close()
    responder.answer_on(listener)
    assert send_request(listener).startswith(b"HTTP/1.1 503 ")
