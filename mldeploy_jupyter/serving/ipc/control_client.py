"""The client of a supervisor's control socket. Protocol 1: one JSON object a line, answered by lines."""

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
    """Asks the supervisor at `path` (`supervisor.json`, "control") and returns its last line.

    `on_event` gets every line that is an event. `timeout` is in seconds between two lines; None waits for
    ever. The answer has `ok`, and `failure` where that is false. Raises `ControlError` when no supervisor
    listens or it went away; a deployment that it had begun goes on without us.
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
