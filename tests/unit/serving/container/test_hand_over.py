"""Both sides of a take-over on real sockets, over pools whose workers are fakes."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.container.hand_over import HandOverServer
from mldeploy_jupyter.serving.container.remote_predecessor import RemotePredecessor
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor.arbiter import Arbiter
from mldeploy_jupyter.serving.supervisor.generation import Aborted, Generation
from mldeploy_jupyter.serving.system.listening_socket import open_listener
from tests.polling import wait_until
from tests.unit.serving.supervisor.fakes import FakeLog, FakeWorker


class Old:
    """The supervisor that serves, with one worker."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.log = FakeLog()
        self.ended = threading.Event()
        self.arbiter = Arbiter(
            folder, open_listener("127.0.0.1", 0), "127.0.0.1", self.log, lambda task: task(), shared=True
        )
        self.worker = FakeWorker()
        self.worker.exits_on = "drain"
        generation = Generation(Settings(revision=1), "d", self.arbiter.pool.listener, [self.worker])
        self.arbiter.pool.switch_to(generation)
        self.server = HandOverServer(folder, self.arbiter, self.log, self.ended.set)

    def orders(self) -> list[str]:
        return [name for name, _ in self.worker.sent if name in ("pause", "accept", "drain")]


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Old]:
    old = Old(tmp_path / "old")
    yield old
    old.arbiter.stop(0)


@pytest.fixture
def adopted() -> list[int]:
    return []


@pytest.fixture
def predecessor(old: Old, tmp_path: Path, adopted: list[int]) -> RemotePredecessor:
    return RemotePredecessor(old.folder, tmp_path / "new", adopted.extend, FakeLog())


def test_a_take_over_pauses_then_drains_and_brings_the_connections(
    old: Old, predecessor: RemotePredecessor, adopted: list[int], tmp_path: Path
) -> None:
    client, connection = socket.socketpair()
    predecessor.connect()
    predecessor.pause()
    assert old.orders() == ["pause"] and not (old.folder / "retired.json").exists()
    old.arbiter.pool._connections.append(os.dup(connection.fileno()))  # one that waits for a worker
    predecessor.retire()
    assert old.orders() == ["pause", "drain"]
    assert json.loads((old.folder / "retired.json").read_text()) == {"to": str(tmp_path / "new")}
    assert old.ended.wait(10) and old.server.retired
    wait_until(lambda: adopted)
    with client, connection, socket.socket(fileno=adopted[0]) as copy:
        copy.sendall(b"hello")
        assert client.recv(5) == b"hello"
    assert old.arbiter.handle("deploy", {"settings": {}}, print)["failure"]["code"] == "busy"


def test_a_switch_that_fails_lets_the_old_supervisor_accept_again(old: Old, predecessor: RemotePredecessor) -> None:
    predecessor.connect()
    predecessor.pause()
    predecessor.resume()
    wait_until(lambda: old.orders() == ["pause", "accept"])
    wait_until(lambda: not (old.folder / ".retired.json.next").exists())
    predecessor.pause()  # another try
    predecessor.retire()
    assert old.ended.wait(10)


def test_a_new_supervisor_that_ends_lets_the_old_one_accept_again(old: Old, predecessor: RemotePredecessor) -> None:
    predecessor.connect()
    predecessor.pause()
    predecessor._abandon()
    wait_until(lambda: old.orders() == ["pause", "accept"])
    wait_until(lambda: any("keeps serving" in text for text in old.log.texts))


def test_a_full_disk_keeps_the_old_supervisor_serving(
    old: Old, predecessor: RemotePredecessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mldeploy_jupyter.serving.container.hand_over.write_json", fail)
    predecessor.connect()
    with pytest.raises(Aborted, match="No space left"):
        predecessor.pause()
    assert old.orders() == []


def test_a_supervisor_that_does_not_run_gives_nothing_and_never_serves_again(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    log = FakeLog()
    predecessor = RemotePredecessor(tmp_path / "old", tmp_path / "new", lambda fds: None, log)
    predecessor.connect()
    predecessor.pause()
    predecessor.retire()
    assert json.loads((tmp_path / "old" / "retired.json").read_text()) == {"to": str(tmp_path / "new")}
    assert any("does not run" in text for text in log.texts)
    with pytest.raises(Aborted, match="no state folder"):
        RemotePredecessor(tmp_path / "nowhere", tmp_path / "new", lambda fds: None, log).connect()


def test_a_supervisor_that_was_started_again_meanwhile_is_found_and_drained(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    predecessor = RemotePredecessor(folder, tmp_path / "new", lambda fds: None, FakeLog())
    predecessor.connect()
    predecessor.pause()
    old = Old(folder)  # it has looked for retired.json already, and has not found it
    try:
        predecessor.retire()
        assert old.orders() == ["pause", "drain"] and old.ended.wait(10)
    finally:
        old.arbiter.stop(0)


def test_a_supervisor_that_stands_by_itself_cannot_be_taken_over_from(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    listener = open_listener("127.0.0.1", 0)
    arbiter = Arbiter(
        tmp_path / "old", listener, "127.0.0.1", FakeLog(), lambda task: task(), shared=True, standby=True
    )
    HandOverServer(tmp_path / "old", arbiter, FakeLog(), lambda: None)
    predecessor = RemotePredecessor(tmp_path / "old", tmp_path / "new", lambda fds: None, FakeLog())
    predecessor.connect()
    with pytest.raises(Aborted, match="does not serve"):
        predecessor.pause()
    arbiter.stop(0)
