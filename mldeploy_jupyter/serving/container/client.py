"""The programs that `docker exec` and the health check run: each sends a request of the control protocol."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from ..ipc import control_client
from ..ipc.failure import failure
from ..system.json_file import read_json
from .configuration import STATE_FOLDER

HEALTH_WAIT = 4.0  # seconds for a status with the workers' answers; Docker's own limit is longer

START_WAIT = 30.0  # seconds for a container's first process to open its socket; on an idle machine it takes 0.2

READY_STATES = ("Live", "Standby")


def control(environ: Mapping[str, str] = os.environ, source: TextIO | None = None, out: TextIO | None = None) -> int:
    """Sends the request that is read from `source`, and prints the answer. Returns the exit code.

    A request that has `more` is followed by another one; its answer says `more`, too. The exit code is the last one's.
    """
    source, out = source or sys.stdin, out or sys.stdout
    code, has_more = _pass_on(source.readline(), environ, out)
    while has_more and (line := source.readline()):
        code, has_more = _pass_on(line, environ, out)
    return code


def _pass_on(line: str, environ: Mapping[str, str], out: TextIO) -> tuple[int, bool]:
    """Sends one request and prints the answer. Returns the exit code, and whether another request follows."""

    def show(message: dict[str, Any]) -> None:
        print(json.dumps(message, separators=(",", ":")), file=out, flush=True)

    try:
        request = json.loads(line)
        op = str(request.pop("op"))
    except (ValueError, AttributeError, KeyError, RecursionError):
        show({"ok": False, "failure": failure("bad-request", "", "one JSON object with an op is expected")})
        return 2, False
    request.pop("sent", None)
    has_more = bool(request.pop("more", False))
    try:
        if op == "await":
            await_socket(environ)
        answer = control_client.call(find_control(environ), op, on_event=show, **request)
    except control_client.NoAnswer as error:
        answer = {"ok": False, "failure": failure("supervisor-silent", op, str(error))}
    except control_client.ControlError as error:
        answer = {"ok": False, "failure": failure("supervisor-lost", op, str(error))}
    show({**answer, "more": True} if has_more else answer)
    return 0 if answer.get("ok") else 1, has_more


def await_socket(environ: Mapping[str, str]) -> None:
    """Waits, for `START_WAIT` at most, until the service has a socket, which a starting container lacks.

    The wait ends with the container, since this process does.
    """
    deadline = time.monotonic() + START_WAIT
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(control_client.ANSWER_WAIT)
            try:
                connection.connect(find_control(environ))
            except TimeoutError:
                return
            except OSError:
                time.sleep(0.02)
                continue
            return


def check_health(environ: Mapping[str, str] = os.environ) -> int:
    """Exit code 0 when the service answers requests, or could as soon as it is switched to.

    Prints the state and the reason of the last worker's death, if any, as JSON: an engine keeps the output.
    """
    try:
        answer = control_client.call(find_control(environ), "status", timeout=HEALTH_WAIT, ask_workers=True)
    except control_client.ControlError as error:
        print(f"not ready: {error}")
        return 1
    state = answer.get("state")
    reason = (answer.get("failure") or {}).get("message", "")
    print(state if state in READY_STATES else f"not ready: {state}{': ' if reason else ''}{reason}")
    if last_exit := answer.get("last_exit"):
        known = ("code", "message", "pid", "time")
        print(json.dumps({name: last_exit[name] for name in known if name in last_exit}))
    return 0 if state in READY_STATES else 1


def find_control(environ: Mapping[str, str]) -> str:
    """The path of the service's control socket."""
    folder = Path(environ.get("MLDEPLOY_FOLDER") or STATE_FOLDER)
    found = (read_json(folder / "supervisor.json") or {}).get("control")
    return str(found or folder / "control.sock")
