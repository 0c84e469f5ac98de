"""The client of the control protocol."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.serving.ipc import control_client
from mldeploy_jupyter.serving.ipc.control_client import ControlError, NoAnswer, call


@contextmanager
def listening(path: str) -> Iterator[socket.socket]:
    """A supervisor that is stopped: the kernel takes connections for it, and nobody reads."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        yield listener


@contextmanager
def answering(path: str, answer: Callable[[dict[str, Any], socket.socket], None]) -> Iterator[list[str]]:
    """A supervisor that hands each request to `answer`; yields the ops that came."""
    ops: list[str] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve_one, args=(connection,), daemon=True))
            threads[-1].start()

    def serve_one(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            request = json.loads(lines.readline())
            ops.append(request["op"])
            answer(request, connection)

    threads: list[threading.Thread] = []
    with listening(path) as listener:
        threads.append(threading.Thread(target=serve, args=(listener,), daemon=True))
        threads[0].start()
        yield ops
        listener.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)


def send(connection: socket.socket, *messages: dict[str, Any]) -> None:
    connection.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in messages))


def test_a_client_without_a_supervisor_says_which(tmp_path: Path) -> None:
    path = str(tmp_path / "control.sock")
    with pytest.raises(ControlError, match="cannot be reached"):
        call(path, "status")
    with listening(path), pytest.raises(NoAnswer, match=r"did not answer within 0\.1 s"):
        call(path, "status", timeout=0.1)


@pytest.mark.parametrize("op", ["keys", "restart", "deploy", "cancel", "import", "check", "status", "stop"])
def test_no_request_waits_for_a_supervisor_that_answers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, op: str
) -> None:
    monkeypatch.setattr(control_client, "SILENCE", 0.05)
    monkeypatch.setattr(control_client, "ANSWER_WAIT", 0.05)
    path = str(tmp_path / "control.sock")
    with listening(path), pytest.raises(NoAnswer):
        call(path, op)


def test_a_full_queue_of_connections_is_no_answer(tmp_path: Path) -> None:
    path = str(tmp_path / "control.sock")
    waiting = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        with pytest.raises(NoAnswer):
            for _ in range(10):
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].settimeout(0.05)
                call(path, "status", timeout=0.05)
    for connection in waiting:
        connection.close()


def test_a_request_lasts_as_long_as_the_supervisor_answers_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_client, "SILENCE", 0.02)
    asked = threading.Event()

    def answer(request: dict[str, Any], connection: socket.socket) -> None:
        if request["op"] == "status":
            asked.set()
            send(connection, {"ok": True})
        elif asked.wait(10):
            send(connection, {"event": "log", "text": "x"}, {"ok": True, "port": 1})

    events: list[dict[str, Any]] = []
    with answering(str(tmp_path / "c"), answer) as ops:
        assert call(str(tmp_path / "c"), "deploy", on_event=events.append) == {"ok": True, "port": 1}
    assert events == [{"event": "log", "text": "x"}] and ops[:2] == ["deploy", "status"]


def test_a_connection_that_ends_without_an_answer_is_an_error(tmp_path: Path) -> None:
    with (
        answering(str(tmp_path / "c"), lambda _, connection: connection.shutdown(socket.SHUT_RDWR)),
        pytest.raises(ControlError, match="closed the connection"),
    ):
        call(str(tmp_path / "c"), "keys")
