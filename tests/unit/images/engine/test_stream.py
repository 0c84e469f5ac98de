"""A long request ends when its caller wants it to, and when the engine does not answer any longer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

import pytest
from docker import DockerClient

from mldeploy_jupyter.docker_engine import Engine, EngineError
from mldeploy_jupyter.docker_engine.endpoints import EngineEndpoint
from mldeploy_jupyter.images.engine.stream import EngineStream


class Cancelled(Exception):
    pass


class FakeEngine(ThreadingMixIn, UnixStreamServer):
    """Answers as an engine does: JSON lines, as far as `answer` writes them; pings while `well` is set."""

    daemon_threads = True

    def __init__(self, path: str) -> None:
        self.answer: Callable[[Handler], None] = lambda handler: None
        self.well = threading.Event()
        self.well.set()
        self.received = 0
        self.left = threading.Event()
        super().__init__(path, Handler)


class Handler(BaseHTTPRequestHandler):
    server: FakeEngine
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "engine"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.well.wait(5)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline() or b"0", 16):
                self.server.received += len(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.server.answer(self)

    def line(self, data: object) -> None:
        text = json.dumps(data).encode() + b"\r\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))

    def end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def wait_for_the_client_to_leave(self) -> None:
        self.connection.settimeout(20)
        if self.connection.recv(1) == b"":
            self.server.left.set()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeEngine]:
    with FakeEngine(str(tmp_path / "engine.sock")) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,))
        thread.start()
        yield served
        served.shutdown()
        thread.join()


@pytest.fixture
def engine(server: FakeEngine) -> Iterator[Engine]:
    url = f"unix://{server.server_address!s}"
    client = DockerClient(base_url=url, version="1.41")
    yield Engine(client, "docker", "20.10", "1.41", "amd64", EngineEndpoint(url, "test"))
    client.close()


def never() -> None:
    pass


def test_objects_arrive_as_they_are_sent(server: FakeEngine, engine: Engine) -> None:
    def answer(handler: Handler) -> None:
        handler.line({"stream": "one"})
        handler.line({"aux": {"ID": "x"}})
        handler.end()

    server.answer = answer
    with EngineStream(engine, "/build", {"t": "a", "left out": None}, body=[b"x" * 10, b"y"]) as stream:
        assert list(stream.events(never)) == [{"stream": "one"}, {"aux": {"ID": "x"}}]
    assert server.received == 11


def test_cancelling_closes_the_connection_at_once(server: FakeEngine, engine: Engine) -> None:
    began = threading.Event()

    def answer(handler: Handler) -> None:
        handler.line({"stream": "begun"})
        began.set()
        handler.wait_for_the_client_to_leave()

    server.answer = answer

    def cancel() -> None:
        if began.is_set():
            raise Cancelled

    with pytest.raises(Cancelled), EngineStream(engine, "/build", {}) as stream:
        list(stream.events(cancel))
    assert server.left.wait(5)


def test_an_upload_ends_when_it_is_cancelled(server: FakeEngine, engine: Engine) -> None:
    sending = threading.Event()

    def body() -> Iterator[bytes]:
        while True:
            sending.set()
            yield b"x" * 1000

    def cancel() -> None:
        if sending.is_set():
            raise Cancelled

    with pytest.raises(Cancelled), EngineStream(engine, "/build", {}, body=body()) as stream:
        list(stream.events(cancel))
    assert not stream.is_running


def test_a_step_that_is_silent_goes_on_while_the_engine_is_well(server: FakeEngine, engine: Engine) -> None:
    asked = threading.Event()

    def answer(handler: Handler) -> None:
        asked.wait(5)
        handler.line({"stream": "done"})
        handler.end()

    server.answer = answer
    waited: list[int] = []

    def cancel() -> None:
        waited.append(1)
        if len(waited) > 5:
            asked.set()

    with EngineStream(engine, "/build", {}, idle=0.1) as stream:
        assert list(stream.events(cancel)) == [{"stream": "done"}]
    assert len(waited) > 5


def test_an_engine_that_hangs_is_named(server: FakeEngine, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mldeploy_jupyter.images.engine.stream.PING_SECONDS", 0.2)
    server.well.clear()
    server.answer = Handler.wait_for_the_client_to_leave
    with pytest.raises(EngineError) as caught, EngineStream(engine, "/build", {}, idle=0.1) as stream:
        list(stream.events(never))
    assert caught.value.failure["code"] == "engine-silent"
    server.well.set()


def test_a_connection_that_breaks_is_named(server: FakeEngine, engine: Engine) -> None:
    def answer(handler: Handler) -> None:
        handler.line({"stream": "begun"})
        handler.connection.shutdown(socket.SHUT_RDWR)

    server.answer = answer
    with pytest.raises(EngineError) as caught, EngineStream(engine, "/build", {}) as stream:
        list(stream.events(never))
    assert caught.value.failure["code"] == "engine-lost"


def test_an_error_of_the_caller_s_files_passes_through(engine: Engine) -> None:
    def body() -> Iterator[bytes]:
        yield b"x"
        raise ValueError("the model is damaged")

    with pytest.raises(ValueError, match="damaged"), EngineStream(engine, "/build", {}, body=body()) as stream:
        list(stream.events(never))
