"""The process that owns a port, and the supervisors' connection to it, in threads."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.container import listener_client
from mldeploy_jupyter.serving.container.listener import Listener
from mldeploy_jupyter.serving.container.listener_client import ListenerClient
from mldeploy_jupyter.serving.ipc.channel import Channel
from mldeploy_jupyter.serving.system import unix_socket
from mldeploy_jupyter.serving.system.listening_socket import open_listener
from tests.polling import wait_until
from tests.unit.serving.supervisor.fakes import FakeLog


class Running:
    """A listener in a thread."""

    def __init__(
        self,
        path: Path,
        listener: socket.socket | None,
        port: int,
        patience: float = 3600.0,
        kind: type[Listener] = Listener,
    ) -> None:
        self.socket = unix_socket.listen(path)
        self.process = kind(listener, self.socket, port, patience)
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
    client.watch(lambda _: None)
    client.tell_serving(True)
    with socket.create_connection(listener.getsockname(), timeout=20) as connection:
        mine.settimeout(20)
        mine.accept()[0].close()  # nobody else takes it
        assert connection.recv(1) == b""
    client.tell_serving(False)
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(url, timeout=20)
    raised.value.close()
    running.end()
    mine.close()


class SlowListener(Listener):
    """Takes note of who serves only when it may."""

    may_answer = threading.Event()

    def _answer_or_pause(self) -> None:
        if self._serving and self._unavailable is not None:
            assert self.may_answer.wait(60)
        super()._answer_or_pause()


def test_what_a_supervisor_serves_is_never_answered_by_the_listener(tmp_path: Path, listener: socket.socket) -> None:
    """The supervisor goes on only once the listener has stopped answering, however long that takes."""
    path = tmp_path / "listener.sock"
    running = Running(path, listener, port_of(listener), 0.0, SlowListener)
    client = ListenerClient(path, FakeLog())
    mine = client.connect()
    client.watch(lambda _: None)
    mine.settimeout(20)
    for _ in range(20):
        SlowListener.may_answer.clear()
        telling = threading.Thread(target=client.tell_serving, args=(True,))
        telling.start()
        with socket.create_connection(listener.getsockname(), timeout=20) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 503"  # nobody serves yet
        assert telling.is_alive()
        SlowListener.may_answer.set()
        telling.join(20)
        for _ in range(20):
            with socket.create_connection(listener.getsockname(), timeout=20):
                mine.accept()[0].close()
        client.tell_serving(False)
    running.end()
    mine.close()


class EarlierListener(Listener):
    """As before listeners answered."""

    def _send(self, channel: Channel) -> None:
        assert self.listener is not None
        channel.send({"event": "listener"}, [self.listener.fileno()])

    def _send_answers(self) -> None:
        pass


class SilentListener(Listener):
    def _send_answers(self) -> None:
        pass


def test_a_listener_of_an_earlier_version_is_not_waited_for(tmp_path: Path, listener: socket.socket) -> None:
    path, log = tmp_path / "listener.sock", FakeLog()
    running = Running(path, listener, port_of(listener), 3600.0, EarlierListener)
    client = ListenerClient(path, log)
    mine = client.connect()
    client.watch(lambda _: None)
    client.tell_serving(True)
    wait_until(lambda: running.process._serving)
    assert log.texts == []
    running.end()
    mine.close()


def test_a_listener_that_ends_before_it_answers_is_not_waited_for(tmp_path: Path, listener: socket.socket) -> None:
    path, log = tmp_path / "listener.sock", FakeLog()
    running = Running(path, listener, port_of(listener), 3600.0, SilentListener)
    client = ListenerClient(path, log)
    mine = client.connect()
    client.watch(lambda _: None)
    telling = threading.Thread(target=client.tell_serving, args=(True,))
    telling.start()
    wait_until(lambda: running.process._serving)
    running.end()
    telling.join(20)
    assert not telling.is_alive() and not any("does not answer" in text for text in log.texts)
    other = open_listener("127.0.0.1", 0)
    second = Running(path, other, port_of(other))
    wait_until(lambda: any("new owner" in text for text in log.texts))
    assert second.process._serving  # it was told when the supervisor connected
    second.end()
    for sock in (mine, other):
        sock.close()


def test_a_listener_that_does_not_answer_delays_a_supervisor_only_for_a_while(
    tmp_path: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_client, "ANSWER_WAIT", 0.1)
    path, log = tmp_path / "listener.sock", FakeLog()
    running = Running(path, listener, port_of(listener), 3600.0, SilentListener)
    client = ListenerClient(path, log)
    mine = client.connect()
    client.watch(lambda _: None)
    client.tell_serving(True)
    assert any("does not answer" in text for text in log.texts)
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
