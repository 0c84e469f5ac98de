"""The server's HTTP side in this process: real parser, routes, queue and scorer; only the socket is simulated."""

from __future__ import annotations

import asyncio
import sys
import textwrap
import types
from collections import deque
from time import perf_counter
from typing import Any

from mldeploy_jupyter.serving.azureml import import_hook
from mldeploy_jupyter.serving.http.acceptor import Acceptor
from mldeploy_jupyter.serving.http.connection import Connection
from mldeploy_jupyter.serving.http.exchange import Exchange
from mldeploy_jupyter.serving.ipc.scoreboard import IN_FLIGHT, Scoreboard
from mldeploy_jupyter.serving.scoring.messages import Response
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from mldeploy_jupyter.serving.scoring.script import Script, inspect_script
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.worker.app import App
from mldeploy_jupyter.serving.worker.jobs import Job
from mldeploy_jupyter.serving.worker.script_thread import ScriptThread

ECHO = """
    from azureml.contrib.services.aml_request import rawhttp
    from azureml.contrib.services.aml_response import AMLResponse
    def init(): pass
    @rawhttp
    def run(request):
        if request.data == b"none": return AMLResponse(b"", 204)
        if request.data == b"large": return AMLResponse(b"x" * 100_000, 200)
        return AMLResponse(b":" + request.data, 200)
"""
MAX_BODY = 1000


def script_of(source: str) -> Script:
    """The script, loaded in this process. v1's import names exist only while it loads: other tests have their own."""
    finders, known = list(sys.meta_path), set(sys.modules)
    import_hook.install()
    module = types.ModuleType(f"fuzzed_{len(sys.modules)}")
    sys.modules[module.__name__] = module
    try:
        exec(compile(textwrap.dedent(source), "score.py", "exec"), module.__dict__)
    finally:
        sys.meta_path[:] = finders
        for name in set(sys.modules) - known:
            if name.partition(".")[0] in ("azureml", "azureml_inference_server_http", "inference_schema"):
                del sys.modules[name]
    return inspect_script(module)


class InlineScriptThread(ScriptThread):
    """Scores in the calling thread: at once, or, while `holding`, when `finish_all` is called."""

    def __init__(self, scorer: Scorer, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.scorer = scorer
        self.loop = loop
        self.holding = False
        self.held: deque[Job] = deque()

    @property
    def waiting(self) -> int:
        return len(self.held)

    def submit(self, job: Job) -> None:
        self.held.append(job)
        if not self.holding:
            self.finish_all()

    def finish_all(self) -> None:
        while self.held:
            job = self.held.popleft()
            if job.abandoned:
                continue
            job.started = perf_counter()
            job.response = self.scorer.score(job.request)
            job.done = True
            self.on_job_done(job)


class RecordingApp(App):
    """Records the requests in the order in which they are answered, with the status."""

    def __init__(self, settings: Settings, scoreboard: Scoreboard) -> None:
        super().__init__(settings, scoreboard, scoreboard.slot(scoreboard.assign_slot()), _loop)
        self.answered: list[tuple[str, bytes, bytes, int]] = []

    def send_response(self, exchange: Exchange, response: Response) -> None:
        self.answered.append((exchange.method, exchange.target, exchange.body, response.status))
        super().send_response(exchange, response)


class Socket(asyncio.Transport):
    """An asyncio transport without a network. `full`: what is written stays in the buffer."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.bench = bench
        self.sent = bytearray()
        self.unsent = 0
        self.full = self.paused = self.closing = self.ended = False
        self.protocol: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def write(self, data: Any) -> None:
        assert not self.ended, "written after its end"
        if self.closing:
            return
        self.sent += data
        if self.full:
            if not self.unsent and data:
                self.unsent = len(data)
                self.bench.connection.pause_writing()
            else:
                self.unsent += len(data)

    def drain(self) -> None:
        """The client reads."""
        self.full = False
        if self.unsent:
            self.unsent = 0
            self.bench.connection.resume_writing()

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        assert not self.closing
        self.paused = True

    def resume_reading(self) -> None:
        if not self.closing:
            self.paused = False
            self.bench.feed_later()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self.bench.loop.call_soon(self.bench.lose)

    def abort(self) -> None:
        self.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 1), "socket": self}.get(name, default)

    def fileno(self) -> int:
        return -1


_loop = asyncio.new_event_loop()
_scoreboard = Scoreboard()
_script = script_of(ECHO)


class Bench:
    """One connection, and the server around it."""

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings(
            **{"auth_enabled": False, "max_body_bytes": MAX_BODY, "allowed_hosts": ["x"], **settings}
        )
        self.loop = _loop
        self.app = RecordingApp(self.settings, _scoreboard)
        self.app.scorer = Scorer(_script)
        self.script_thread = InlineScriptThread(self.app.scorer, self.loop)
        self.app.queue.attach(self.script_thread)
        self.app.set_phase("ready")
        self.app.in_service = True
        self.handed_over: list[int] = []
        self.acceptor = Acceptor(self.app, self.loop, None, self.handed_over.append)  # type: ignore[arg-type]
        self.connection = Connection(self.acceptor, private=False)
        self.socket = Socket(self)
        self.waiting: deque[bytes] = deque()
        self.lost = False
        self._feeding = False
        self.connection.connection_made(self.socket)

    def feed(self, data: bytes) -> None:
        """The client sends. What the server does not read yet waits."""
        if data:
            self.waiting.append(data)
            self._feed()

    def feed_later(self) -> None:
        self.loop.call_soon(self._feed)

    def _feed(self) -> None:
        if not self._feeding:
            self._feeding = True
            try:
                while self.waiting and not self.socket.paused and not self.socket.closing:
                    self._deliver(self.waiting.popleft())
            finally:
                self._feeding = False

    def _deliver(self, data: bytes) -> None:
        protocol = self.socket.protocol
        if isinstance(protocol, asyncio.BufferedProtocol):
            buffer = memoryview(protocol.get_buffer(-1))
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            if size < len(data):
                self.waiting.appendleft(data[size:])
            protocol.buffer_updated(size)
        else:
            self.connection.data_received(data)

    def eof(self) -> None:
        if not self.lost and not self.socket.closing and not self.waiting and not self.connection.eof_received():
            self.socket.close()

    def lose(self) -> None:
        """The connection is gone."""
        if not self.lost:
            self.lost = self.socket.closing = True
            self.connection.connection_lost(None)

    def turn(self) -> None:
        """Runs the callbacks that are due."""
        for _ in range(2):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def finish(self) -> None:
        """Ends every call of run(), and reads everything as the client."""
        self.script_thread.holding = False
        for _ in range(500):
            before = (len(self.socket.sent), len(self.waiting), self.lost)
            self.script_thread.finish_all()
            if not self.lost:
                self.socket.drain()
            self.turn()
            if before == (len(self.socket.sent), len(self.waiting), self.lost):
                return
        raise AssertionError("it does not come to rest")

    @property
    def over(self) -> bool:
        """Whether the server sends nothing more."""
        return self.lost or self.socket.closing or self.socket.ended

    @property
    def in_flight(self) -> int:
        return int(self.app._slot.fields[IN_FLIGHT])

    def end(self) -> None:
        """Disconnects the client, and checks that nothing is left behind."""
        try:
            if not self.lost:
                self.lose()
            self.turn()
            self.script_thread.finish_all()
            self.turn()
            assert self.acceptor.buffered == 0, f"{self.acceptor.buffered} bytes are never freed"
            assert not self.acceptor.connections and not self.connection.pipeline
            assert self.in_flight == 0, f"{self.in_flight} requests stay in flight forever"
            assert not self.app.queue._jobs
        finally:
            self.app._slot.clear()
            _scoreboard.retire_slot(self.app._slot.number)


def answers(sent: bytes, methods: list[str]) -> list[tuple[int, dict[str, str], bytes]]:
    """The final answers in what was sent. Fails if it is not HTTP, or if a body does not have its length."""
    found = []
    while sent:
        head, end, sent = sent.partition(b"\r\n\r\n")
        assert end, f"a head without an end: {head[:200]!r}"
        line, *fields = head.decode("latin-1").split("\r\n")
        version, status, _ = line.split(" ", 2)
        assert version == "HTTP/1.1" and status.isdigit() and len(status) == 3, line
        if status == "100":
            continue
        headers: dict[str, str] = {}
        for field in fields:
            name, colon, value = field.partition(": ")
            assert colon and name.lower() not in headers, f"{field!r} in {head!r}"
            headers[name.lower()] = value
        method = methods[len(found)] if len(found) < len(methods) else ""
        size = 0 if method == "HEAD" or status in ("204", "304") else int(headers["content-length"])
        assert len(sent) >= size, "a body that is cut"
        found.append((int(status), headers, sent[:size]))
        sent = sent[size:]
    return found
