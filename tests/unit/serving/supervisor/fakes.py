"""Workers, zygotes and a log without processes and files, to be handed to the supervisor's parts."""

from __future__ import annotations

import itertools
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mldeploy_jupyter.serving.ipc.failure import failure
from mldeploy_jupyter.serving.ipc.scoreboard import Scoreboard
from mldeploy_jupyter.serving.log.service_log import ServiceLog
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor.worker_pool import WorkerPool
from mldeploy_jupyter.serving.supervisor.worker_process import WorkerProcess
from mldeploy_jupyter.serving.system.child_process import SpawnedProcess
from mldeploy_jupyter.serving.system.listening_socket import open_listener

pids = itertools.count(4_194_304 + 1)  # above the largest pid that Linux uses


class FakeLog(ServiceLog):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def write(self, text: str, *, level: str = "info", **fields: Any) -> None:
        self.texts.append(text)

    def append(self, lines: bytes) -> None:
        self.texts.append(lines.decode())


class FakeWorker(WorkerProcess):
    """A worker that answers orders from `answers`; `on_start` is what it does once it is started."""

    def __init__(
        self,
        settings: Settings | None = None,
        log: ServiceLog | None = None,
        scoreboard: Scoreboard | None = None,
        on_start: Callable[[FakeWorker], None] = lambda worker: worker.report_ready(),
    ) -> None:
        super().__init__(settings or Settings(), log or FakeLog(), scoreboard)
        self.on_start = on_start
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, dict[str, Any] | None] = {}
        self.gone = False  # sending fails
        self.exits_on = "stop"  # the order upon which it exits
        self.responses: list[bytes | None] = []  # to private connections, one after another; None: no response
        self.requests: list[bytes] = []  # that came on them
        self.killed = False

    def start(self, listener: socket.socket, **options: Any) -> None:
        self.pid = next(pids)
        self.forked = options.get("process") is not None
        self.sent.append(("start", options))
        self.on_start(self)

    def send(self, op: str, fds: tuple[int, ...] = (), **args: Any) -> bool:
        self.sent.append((op, args))
        if op == self.exits_on:
            self.die(signal=None)
        if op == "adopt" and args.get("private") and not self.gone:
            response = self.responses.pop(0) if self.responses else b"HTTP/1.1 200 OK\r\n\r\n{}"
            threading.Thread(target=self._respond, args=(os.dup(fds[0]), response)).start()
        return not self.gone

    def _respond(self, fd: int, response: bytes | None) -> None:
        with socket.socket(fileno=fd) as connection:
            self.requests.append(connection.recv(65536))
            if response is None:
                connection.recv(1)  # until the client gives up
            else:
                connection.sendall(response)

    def request(self, op: str, wait: float = 0.0, **args: Any) -> dict[str, Any] | None:
        self.send(op, **args)
        return self.answers.get(op, {})

    def orders(self, op: str) -> list[dict[str, Any]]:
        return [args for name, args in self.sent if name == op]

    def report_ready(self, **facts: Any) -> None:
        self.ready = {"event": "ready", **facts}
        self.events.put({**self.ready, "worker": self})

    def report_failure(self, code: str, text: str) -> None:
        self.events.put({"event": "failed", "failure": failure(code, "init", text), "worker": self})

    def die(self, signal: int | None = 9) -> None:
        if self.exited.is_set():
            return
        self._exit = {"exit_code": None if signal else 1, "signal": signal, "memory": {}}
        self.state = "dead"
        self.exited.set()
        self.events.put({"event": "exit", "worker": self})
        self.on_exit(self)

    def kill(self) -> None:
        self.killed = True
        self.die()

    def complete_failure(self, data: dict[str, Any]) -> dict[str, Any]:
        return {**self._exit, **data}


class FakeZygotes:
    """What a `WorkerPool` needs of a `ZygotePool`. `forks` are given out one by one."""

    def __init__(self) -> None:
        self.forks: list[Any] = []
        self.waited: list[bool] = []
        self.reason = ""

    def acquire(self, settings: Settings, give_up: Any = None, wait: bool = True) -> Any:
        self.waited.append(wait)
        return self.forks.pop(0) if self.forks else None

    def list_processes(self) -> list[tuple[int, str]]:
        return []

    def stop_forking(self, reason: str) -> None:
        self.reason = reason

    def learn(self, settings: Settings, modules: list[str]) -> None:
        pass

    def prepare_spare(self, settings: Settings) -> None:
        pass


class FakeFork(SpawnedProcess):
    """A forked process that only says whether it was discarded."""

    def __init__(self) -> None:
        self.discarded = False

    def discard(self) -> None:
        self.discarded = True


class FakePool(WorkerPool):
    """A pool of `FakeWorker`s, with a real socket. `on_start` lists what the next workers do when they are started.

    The last entry is for all further ones.
    """

    def __init__(
        self, folder: Path, on_start: list[Callable[[FakeWorker], None]] | None = None, **options: bool
    ) -> None:
        self.fake_log = FakeLog()
        self.fake_zygotes = FakeZygotes()
        self.created: list[FakeWorker] = []
        self.spawned: list[WorkerProcess] = []
        self.lost: list[WorkerProcess] = []
        self.stuck: list[WorkerProcess] = []
        self._on_start = on_start or [lambda worker: worker.report_ready()]

        def create(settings: Settings, log: ServiceLog, scoreboard: Scoreboard) -> WorkerProcess:
            behaviour = self._on_start.pop(0) if len(self._on_start) > 1 else self._on_start[0]
            self.created.append(FakeWorker(settings, log, scoreboard, behaviour))
            return self.created[-1]

        super().__init__(
            folder,
            open_listener("127.0.0.1", 0),
            self.fake_log,
            self.fake_zygotes,  # type: ignore[arg-type]
            lambda task: task(),
            on_spawn=self.spawned.append,
            on_lost=self.lost.append,
            on_stuck=self.stuck.append,
            create_worker=create,
            **options,
        )
