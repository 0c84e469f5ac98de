"""The process that owns a port, and the supervisors' connection to it, in threads."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.container.listener import Listener
from mldeploy_jupyter.serving.container.listener_client import ListenerClient
from mldeploy_jupyter.serving.system import unix_socket
from mldeploy_jupyter.serving.system.listening_socket import open_listener
from tests.polling import wait_until
from tests.unit.serving.supervisor.fakes import FakeLog


class Running:
    """A listener in a thread."""

    def __init__(self, path: Path, listener: socket.socket | None, port: int, patience: float = 3600.0) -> None:
        self.socket = unix_socket.listen(path)
        self.process = Listener(listener, self.socket, port, patience)
        self.thread = threading.Thread(target=self.process.run, args=(None if listener else 30.0,))
        self.thread.start()

    def end(self) -> None:
        """Ends as if it had been killed: its socket and its connections are gone."""
        self.process.stop()
        self.thread.join(10)
        self.process.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with open_listener("127.0.0.1", 0) as listener:
        yield listener


def leave(client: ListenerClient) -> None:
    assert client._channel is not None
    client._channel.close()


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def test_a_supervisor_gets_the_socket_and_those_of_the_next_listeners(tmp_path: Path, listener: socket.socket) -> None:
    path, log, found = tmp_path / "listener.sock", FakeLog(), []
    first = Running(path, listener, port_of(listener))
    client = ListenerClient(path, log)
    mine = client.connect()
    assert mine.getsockname() == listener.getsockname()
    client.watch(found.append)
    first.end()
    wait_until(lambda: any("has ended" in text for text in log.texts))
    other = open_listener("127.0.0.1", 0)
    second = Running(path, other, port_of(other))
    wait_until(lambda: any("new owner" in text for text in log.texts))
    assert [sock.getsockname() for sock in found] == [other.getsockname()]
    second.end()
    for sock in (mine, other, *found):
        sock.close()


def test_where_the_port_is_still_listened_on_the_socket_is_taken_back(tmp_path: Path) -> None:
    path, log, found = tmp_path / "listener.sock", FakeLog(), []
    listener = open_listener("127.0.0.1", 0)
    first = Running(path, listener, port_of(listener))
    client = ListenerClient(path, log)
    mine = client.connect()
    client.watch(found.append)
    first.end()
    listener.close()
    second = Running(path, None, port_of(mine))
    wait_until(lambda: second.process.listener is not None)
    wait_until(lambda: any("new owner" in text for text in log.texts))
    assert second.process.listener.getsockname() == mine.getsockname()
    assert found == []  # it has it already
    newcomer = ListenerClient(path, log)
    theirs = newcomer.connect()
    assert theirs.getsockname() == mine.getsockname()
    leave(newcomer)
    second.end()
    for sock in (mine, theirs, second.process.listener):
        sock.close()


def test_a_socket_that_does_not_listen_on_the_port_is_not_taken(tmp_path: Path, listener: socket.socket) -> None:
    process = Listener(None, unix_socket.listen(tmp_path / "listener.sock"), port_of(listener) + 1)
    process._take(listener.dup())
    assert process.listener is None
    process._take(socket.socket())
    assert process.listener is None
    process.run(0.0)  # it ends when nobody has one
    process.close()


def test_clients_are_answered_while_no_supervisor_serves(tmp_path: Path, listener: socket.socket) -> None:
    path = tmp_path / "listener.sock"
    running = Running(path, listener, port_of(listener), patience=0.0)
    url = f"http://127.0.0.1:{port_of(listener)}/"
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(url, timeout=20)
    assert raised.value.code == 503
    raised.value.close()
    client = ListenerClient(path, FakeLog())
    mine = client.connect()
    client.tell_serving(True)
    wait_until(lambda: running.process._unavailable is None and running.process._serving)
    with socket.create_connection(listener.getsockname(), timeout=20) as connection:
        mine.settimeout(20)
        mine.accept()[0].close()  # nobody else takes it
        assert connection.recv(1) == b""
    client.tell_serving(False)
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(url, timeout=20)
    raised.value.close()
    leave(client)
    running.end()
    mine.close()


def test_nonsense_from_a_client_ends_its_connection_only(tmp_path: Path, listener: socket.socket) -> None:
    path = tmp_path / "listener.sock"
    running = Running(path, listener, port_of(listener))
    with unix_socket.connect(path, 10) as client:
        client.recv(1000)
        client.sendall(b"nonsense\n")
        while client.recv(1000):
            pass
    other = ListenerClient(path, FakeLog())
    mine = other.connect()
    leave(other)
    running.end()
    mine.close()
