"""Requests of the control protocol, sent into a running container through a program that is run in it.

The protocol is that of `serving/ipc/control_client.py`: one request, events, then the answer, as lines of JSON.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.docker_engine import EngineError, engine_errors
from mldeploy_jupyter.targets.docker.names import PROGRAM

if TYPE_CHECKING:
    from mldeploy_jupyter.docker_engine import Engine

COMMAND = [*PROGRAM, "control"]

IDLE_SECONDS = 5.0  # of silence before the engine is asked whether the container still runs

KEYS_SECONDS = 90.0  # for an answer to new keys: a supervisor waits a minute for its workers to take them

ANSWER_SECONDS = 10.0  # for an answer that needs no work, such as a status, on a busy machine

_HEADER = struct.Struct(">BxxxL")  # of a frame: 1 is standard output, 2 standard error; the length

_STDERR = 2

MAX_ERRORS = 4000  # characters of standard error that are kept


class ContainerGone(Exception):
    """The container does not run, or ended before it answered. `errors` is what the program printed as its error."""

    def __init__(self, errors: str = "") -> None:
        super().__init__(errors or "the container closed the connection before it answered")
        self.errors = errors


def call(
    engine: Engine,
    container: str,
    op: str,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    *,
    timeout: float | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    """Sends one request to the service in a container and returns its answer.

    `timeout` is the longest wait in seconds; None waits as long as the container runs and the engine answers.

    Raises:
        ContainerGone: the container does not run, or ended meanwhile.
        EngineError: the engine is gone, or does not answer; its code is `container-silent` after `timeout`.
    """
    with closing(Conversation(engine, container)) as conversation:
        return conversation.call(op, on_event, timeout=timeout, **arguments)


class Conversation:
    """Requests to the service in a container, one after another.

    The program that takes a request is run again for the next one, unless the request said that there is `more`: to
    start it costs a tenth of a second. In images of earlier versions the program ends after each request.
    """

    def __init__(self, engine: Engine, container: str) -> None:
        self._engine = engine
        self._container = container
        self._connection: socket.socket | None = None

    def call(
        self,
        op: str,
        on_event: Callable[[dict[str, Any]], None] | None = None,
        *,
        timeout: float | None = None,
        more: bool = False,
        **arguments: Any,
    ) -> dict[str, Any]:
        """As the function `call`; with `more`, the program stays for the next request."""
        end = None if timeout is None else time.monotonic() + timeout
        errors: list[str] = []
        if self._connection is None:
            self._connection = _start(self._engine, self._container)
        connection, stays = self._connection, False
        try:
            request = {**arguments, "op": op, **({"more": True} if more else {})}
            connection.sendall(json.dumps(request).encode() + b"\n")

            def check_idle() -> None:
                if end is not None and time.monotonic() >= end:
                    message = f"the container did not answer within {timeout:g} s"
                    raise EngineError({"code": "container-silent", "message": message})
                _require_running(self._engine, self._container)

            wait = IDLE_SECONDS if timeout is None else min(timeout, IDLE_SECONDS)
            for line in _read_lines(connection, wait, check_idle, errors):
                try:
                    message = json.loads(line)
                except ValueError:
                    errors.append(line.decode("utf-8", "replace"))
                    continue
                if "event" not in message:
                    stays = bool(message.pop("more", False))
                    return dict(message)
                if on_event is not None:
                    on_event(message)
        finally:
            if not stays:
                self.close()
        raise ContainerGone("".join(errors)[-MAX_ERRORS:].strip())

    def close(self) -> None:
        """Ends the program."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _start(engine: Engine, container: str) -> socket.socket:
    """Starts the program in the container; returns its input and output."""
    from docker.errors import APIError

    with engine_errors(engine.endpoint):
        try:
            created = engine.client.api.exec_create(container, COMMAND, stdin=True)
            stream = engine.client.api.exec_start(created["Id"], socket=True)
        except APIError as error:
            if error.status_code in (404, 409):  # it is gone, paused or restarting
                raise ContainerGone(str(error.explanation or "")) from error
            raise
    # The SDK returns a reader that owns the socket; the socket itself can be waited for.
    return _OwnedSocket(stream)


class _OwnedSocket(socket.socket):
    """A duplicate of the stream's socket, so that either may be closed."""

    def __init__(self, stream: Any) -> None:
        inner = getattr(stream, "_sock", stream)
        super().__init__(fileno=socket.dup(inner.fileno()))
        self.setblocking(True)
        self._stream = stream

    def close(self) -> None:
        super().close()
        response = getattr(self._stream, "_response", None)
        if response is not None:
            response.close()
        self._stream.close()


def _require_running(engine: Engine, container: str) -> None:
    from docker.errors import NotFound

    with engine_errors(engine.endpoint):
        try:
            state = engine.client.api.inspect_container(container)["State"]
        except NotFound:
            raise ContainerGone from None
    if not state.get("Running") or state.get("Restarting"):
        raise ContainerGone


def _read_lines(
    connection: socket.socket, wait: float, check_idle: Callable[[], None], errors: list[str]
) -> Iterator[bytes]:
    """The lines of standard output. `errors` gets standard error; `check_idle` is called after each silent `wait`."""
    buffer, line = bytearray(), bytearray()
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    while True:
        if not poll.poll(wait * 1000):
            check_idle()
            continue
        try:
            data = connection.recv(65536)
        except OSError:
            return
        if not data:
            return
        buffer += data
        while len(buffer) >= _HEADER.size:
            stream, length = _HEADER.unpack_from(buffer)
            if len(buffer) < _HEADER.size + length:
                break
            part = bytes(buffer[_HEADER.size : _HEADER.size + length])
            del buffer[: _HEADER.size + length]
            if stream == _STDERR:
                errors.append(part.decode("utf-8", "replace"))
                continue
            known = len(line)
            line += part
            while (end := line.find(b"\n", known)) >= 0:
                yield bytes(line[:end])
                del line[: end + 1]
                known = 0
