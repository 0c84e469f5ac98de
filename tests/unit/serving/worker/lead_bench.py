"""A worker's loop and script's thread in this process, with clients on socket pairs."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

from mldeploy_jupyter.serving.http.acceptor import Acceptor
from mldeploy_jupyter.serving.http.connection import Connection
from mldeploy_jupyter.serving.ipc.scoreboard import IN_FLIGHT, Scoreboard
from mldeploy_jupyter.serving.schema.base import AbstractParameterType
from mldeploy_jupyter.serving.schema.decorators import input_schema
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.worker.app import App
from mldeploy_jupyter.serving.worker.batching import Batcher
from mldeploy_jupyter.serving.worker.event_loops import new_loop
from mldeploy_jupyter.serving.worker.lead import TRUST, Lead
from mldeploy_jupyter.serving.worker.script_thread import ScriptThread
from mldeploy_jupyter.serving.worker.service import process_singly
from tests.polling import wait_until
from tests.unit.serving.scripts import script_of


class Client:
    """The client's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.socket.settimeout(60)
        self.file = sock.makefile("rb")

    def send(self, body: bytes, path: str = "/score") -> None:
        self.socket.sendall(request(body, path))

    def read(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, headers, body."""
        status = int(self.file.readline().split()[1])
        headers = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        return status, headers, self.file.read(int(headers["content-length"]))

    def ask(self, body: bytes, path: str = "/score") -> tuple[int, dict[str, str], bytes]:
        self.send(body, path)
        return self.read()


def request(body: bytes, path: str = "/score") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


class NoSchema(AbstractParameterType):
    """Any JSON value as it is; rows if it is a list."""

    def __init__(self) -> None:
        super().__init__([1])

    def parse(self, value: Any, where: str) -> Any:
        return value

    def has_rows(self) -> bool:
        return True


class LeadBench:
    """`run(data)` is the script. `connections` are the server's, in the order of the clients that were connected."""

    def __init__(self, run: Callable[..., Any], *, max_batch_size: int = 0, **settings: Any) -> None:
        self.loop = new_loop()
        scoreboard = Scoreboard()
        self.slot = scoreboard.slot(scoreboard.assign_slot())
        self.app = App(Settings(auth_enabled=False, **settings), scoreboard, self.slot, self.loop)
        script = script_of(input_schema("data", NoSchema())(run))
        scorer = self.app.scorer = Scorer(script)
        self.script_thread = ScriptThread()
        if max_batch_size:
            self.script_thread.process = Batcher(scorer, self.script_thread, max_batch_size).process
            self.script_thread.max_jobs = max_batch_size
        else:
            self.script_thread.process = lambda jobs: process_singly(scorer, self.script_thread, jobs)
        self.script_thread.loop = self.loop
        self.script_thread.let_lead(Lead(self.app.direct))
        self.app.queue.attach(self.script_thread)
        self.app.set_phase("ready")
        self.acceptor = Acceptor(self.app, self.loop, None, lambda fd: None)  # type: ignore[arg-type]
        self.acceptor._accepting = False
        self.clients: list[Client] = []
        self._threads = [
            threading.Thread(target=self.script_thread.serve),
            threading.Thread(target=self.loop.run_forever),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> LeadBench:
        return self

    def __exit__(self, *_: object) -> None:
        self.script_thread.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        for thread in self._threads:
            thread.join(60)
        for client in self.clients:
            client.file.close()
            client.socket.close()
        for connection in self.connections:
            connection.transport.abort()
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()
        self.loop.close()

    @property
    def connections(self) -> list[Connection]:
        return list(self.acceptor.connections)

    @property
    def in_flight(self) -> int:
        return int(self.slot.fields[IN_FLIGHT])

    def connect(self) -> Client:
        ours, theirs = socket.socketpair()
        client, known = Client(theirs), len(self.connections)
        self.clients.append(client)
        self.loop.call_soon_threadsafe(self.acceptor.adopt, ours)
        wait_until(lambda: len(self.connections) > known)
        return client

    def lead(self, client: Client, body: bytes) -> None:
        """Asks until the script's thread serves this client's connection."""
        connection = self.connections[self.clients.index(client)]
        for _ in range(1000):
            for _ in range(TRUST + 2):
                client.ask(body)
            if connection.direct_fd >= 0:
                return
        raise AssertionError("the script's thread never leads")

    def call(self, function: Callable[[], Any]) -> Any:
        """Calls a function on the loop's thread, with the lock."""
        return asyncio.run_coroutine_threadsafe(self._call(function), self.loop).result(60)

    async def _call(self, function: Callable[[], Any]) -> Any:
        with self.app.direct.lock:
            return function()
