"""The client of a supervisor's control socket.

Protocol 1: one request a connection, as a line of JSON. It is answered by lines of JSON: events, then the answer.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any


class ControlError(Exception):
    """The supervisor cannot be reached, or the connection broke before the answer."""


def call(
    path: str,
    op: str,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    timeout: float | None = None,
    **args: Any,
) -> dict[str, Any]:
    """Sends a request to the supervisor at `path` (`supervisor.json`, "control") and returns its answer.

    `on_event` gets every event before the answer. `timeout` is the longest wait for a line, in seconds; None waits
    without limit. The answer has `ok` and, where that is false, `failure`. Raises `ControlError` when no supervisor
    listens, or it goes away or exceeds `timeout`; a deployment that it has begun goes on.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout)
    with connection:
        try:
            connection.connect(path)
            connection.sendall(json.dumps({**args, "op": op}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                for line in lines:
                    message: dict[str, Any] = json.loads(line)
                    if "event" not in message:
                        if op == "stop":
                            lines.read()  # the connection ends with the process
                        return message
                    if on_event is not None:
                        on_event(message)
        except TimeoutError as error:
            raise ControlError(f"the supervisor at {path} did not answer within {timeout} s") from error
        except (OSError, ValueError) as error:
            raise ControlError(f"the supervisor at {path} cannot be reached: {error}") from error
    raise ControlError(f"the supervisor at {path} went away before it answered")
