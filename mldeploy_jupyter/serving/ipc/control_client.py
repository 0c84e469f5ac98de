"""The client of a supervisor's control socket.

Protocol 1: one request a connection, as a line of JSON. It is answered by lines of JSON: events, then the answer.
`sent` is when the request was sent, in seconds on the monotonic clock, which all processes of a machine share: a
supervisor that was stopped does not carry out a request that its client has given up.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

SILENCE = 2.0  # seconds without a line after which a supervisor that may be busy is asked whether it still answers

ANSWER_WAIT = 5.0  # seconds for an answer that needs no work, such as a status


class ControlError(Exception):
    """The supervisor cannot be reached, or the connection broke before the answer."""


class NoAnswer(ControlError):
    """The supervisor is there and does not answer: it is stopped or hangs."""


def call(
    path: str,
    op: str,
    *,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    timeout: float | None = None,
    **args: Any,
) -> dict[str, Any]:
    """Sends a request to the supervisor at `path` (`supervisor.json`, "control") and returns its answer.

    `on_event` gets every event before the answer. `timeout` is the longest wait for a line, in seconds; with None a
    request may take as long as the supervisor answers others meanwhile. The answer has `ok` and, where that is false,
    `failure`.

    Raises:
        NoAnswer: the supervisor exceeds `timeout`, or answers nothing. A deployment that it has begun continues.
        ControlError: no supervisor listens, or it goes away.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_WAIT if timeout is None else timeout)
        try:
            connection.connect(path)
            connection.sendall(json.dumps({**args, "op": op, "sent": time.monotonic()}).encode() + b"\n")
            for line in _read_lines(connection, path, timeout):
                message: dict[str, Any] = json.loads(line)
                if "event" not in message:
                    if op == "stop":
                        while connection.recv(4096):  # the connection ends with the process
                            pass
                    return message
                if on_event is not None:
                    on_event(message)
        except (TimeoutError, BlockingIOError) as error:  # a full queue of connections blocks, or refuses at once
            wait = ANSWER_WAIT if timeout is None else timeout
            raise NoAnswer(f"the supervisor at {path} did not answer within {wait:g} s") from error
        except (OSError, ValueError) as error:
            raise ControlError(f"the supervisor at {path} cannot be reached: {error}") from error
    raise ControlError(f"the supervisor at {path} closed the connection before it answered")


def _read_lines(connection: socket.socket, path: str, timeout: float | None) -> Iterator[bytes]:
    """The lines that arrive. Without a `timeout`, a silent supervisor is asked for its status, which it must answer."""
    if timeout is None:
        connection.settimeout(SILENCE)
    buffer = bytearray()
    while True:
        try:
            data = connection.recv(65536)
        except TimeoutError:
            if timeout is not None:
                raise
            call(path, "status", timeout=ANSWER_WAIT)
            continue
        if not data:
            return
        buffer += data
        while (end := buffer.find(b"\n")) >= 0:
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            yield line


def find_listener(path: str) -> int:
    """The pid of the process that listens on a control socket; 0 when none does, or the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return 0
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_WAIT)
        try:
            connection.connect(path)
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except OSError:
            return 0
    pid: int = struct.unpack("3i", credentials)[0]
    return pid
