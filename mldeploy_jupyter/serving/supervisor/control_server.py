"""The server side of the control protocol (`ipc/control_client.py`): the socket through which clients give orders."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..ipc.control_client import ANSWER_WAIT, SILENCE
from ..ipc.failure import failure
from ..log.service_log import ServiceLog
from ..system.identity import folder_identity
from ..system.json_file import read_json
from .generation import Emit

MAX_SOCKET_PATH = 100  # bytes; the kernel's limit is 104 to 108

# Seconds after which a client has given a request up: a supervisor that was stopped meanwhile does not carry it out.
MAX_AGE = SILENCE + ANSWER_WAIT

SEND_TIMEOUT = 2  # seconds for a client to read an event, before it counts as disconnected

Handle = Callable[[str, dict[str, Any], Emit], dict[str, Any]]


class ControlServer:
    """Listens on `path`, a socket in the service's folder, or in a temporary one if the folder's path is too long."""

    def __init__(self, folder: Path, log: ServiceLog, clock: Callable[[], float] = time.monotonic) -> None:
        """Replaces the socket of a supervisor that died: the caller holds the folder's lock."""
        self._folder = folder
        self._log = log
        self._clock = clock
        _remove_stale_socket(folder)
        self.path = folder / "control.sock"
        if len(os.fsencode(self.path)) > MAX_SOCKET_PATH:
            self.path = Path(tempfile.mkdtemp(prefix="mldeploy-")) / "control.sock"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self.path.chmod(0o600)
        self._socket.listen(64)

    def serve(self, handle: Handle) -> None:
        """Serves each client in a thread, until the process ends. `handle` returns the answer to a request."""
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # too many open files
                time.sleep(0.1)
                continue
            threading.Thread(target=self._serve_client, args=(connection, handle), daemon=True).start()

    def remove(self) -> None:
        """Removes the socket and `supervisor.json`, so that no client finds this supervisor any longer."""
        with contextlib.suppress(OSError):  # a read-only disk keeps them; the process ends all the same
            self.path.unlink(missing_ok=True)
            if self.path.parent != self._folder:
                self.path.parent.rmdir()
            (self._folder / "supervisor.json").unlink(missing_ok=True)

    def _serve_client(self, connection: socket.socket, handle: Handle) -> None:
        """Reads one request, sends events and one answer. Continues when the client disconnects or does not read."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_TIMEOUT, 0))
        lock = threading.Lock()
        disconnected = False

        def emit(message: dict[str, Any]) -> bool:
            nonlocal disconnected
            line = json.dumps(message, separators=(",", ":"), default=str).encode("utf-8", "backslashreplace") + b"\n"
            with lock:
                if not disconnected:
                    try:
                        connection.sendall(line)
                    except OSError:
                        disconnected = True
            return not disconnected

        with connection, connection.makefile("rb") as lines:
            try:
                request = json.loads(lines.readline() or b"null")
                op = request.pop("op")
                sent = float(request.pop("sent", self._clock()))  # missing from older clients
            except (ValueError, AttributeError, KeyError, OSError, TypeError):
                emit({"ok": False, "failure": failure("bad-request", "", "one JSON object with an op is expected")})
                return
            if op != "stop" and self._clock() - sent > MAX_AGE:
                self._log.write(f"{op} is not carried out: its client gave it up meanwhile", level="warning")
                emit({"ok": False, "failure": failure("expired", op, "the request came too late")})
                return
            try:
                emit(handle(op, request, emit))
            except Exception as error:
                self._log.write(f"internal error in {op}: {type(error).__name__}: {error}")
                emit({"ok": False, "failure": failure("internal", op, f"{type(error).__name__}: {error}")})
                raise


def _remove_stale_socket(folder: Path) -> None:
    (folder / "control.sock").unlink(missing_ok=True)
    previous = read_json(folder / "supervisor.json") or {}
    path = Path(str(previous.get("control", "")))
    # In a copy of the folder the file describes the supervisor of the original, which may still run.
    if previous.get("folder") == folder_identity(folder) and path.parent.name.startswith("mldeploy-"):
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()
