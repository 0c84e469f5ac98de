from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

from ..ipc.failure import failure
from ..system.identity import folder_identity
from ..system.json_file import read_json
from .arbiter import Arbiter

_MAX_SOCKET_PATH = 100  # bytes; the kernel's limit is 104 to 108


def _control_socket(folder: Path) -> tuple[socket.socket, Path]:
    path = folder / "control.sock"
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
        import tempfile

        path = Path(tempfile.mkdtemp(prefix="mldeploy-")) / "control.sock"
    # The lock is ours, so a socket that is there was left by a dead supervisor; so was the folder of a long path.
    path.unlink(missing_ok=True)
    left = read_json(folder / "supervisor.json") or {}
    earlier = Path(left.get("control", ""))
    if left.get("folder") == folder_identity(folder) and earlier.parent.name.startswith("mldeploy-"):
        earlier.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            earlier.parent.rmdir()
    control = socket.socket(socket.AF_UNIX)
    control.bind(str(path))
    path.chmod(0o600)
    control.listen(64)
    return control, path


def _remove_control(folder: Path, path: Path) -> None:
    path.unlink(missing_ok=True)
    if path.parent != folder:
        path.parent.rmdir()
    (folder / "supervisor.json").unlink(missing_ok=True)


def _serve_control(control: socket.socket, fleet: Arbiter, stop: Any) -> None:
    while True:
        try:
            connection, _ = control.accept()
        except OSError:  # out of descriptors: try again
            time.sleep(0.1)
            continue
        threading.Thread(target=_serve_client, args=(connection, fleet, stop), daemon=True).start()


def _serve_client(connection: socket.socket, fleet: Arbiter, stop: Any) -> None:
    """One request, its events, one answer. A client that went away or does not read is left behind."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 2, 0))
    lock = threading.Lock()
    gone = False

    def emit(message: dict[str, Any]) -> bool:
        nonlocal gone
        line = json.dumps(message, separators=(",", ":"), default=str).encode("utf-8", "backslashreplace") + b"\n"
        with lock:
            if not gone:
                try:
                    connection.sendall(line)
                except OSError:
                    gone = True
        return not gone

    with connection, connection.makefile("rb") as lines:
        try:
            request = json.loads(lines.readline() or b"null")
            op = request.pop("op")
        except (ValueError, AttributeError, KeyError, OSError, TypeError):
            emit({"ok": False, "failure": failure("bad-request", "", "one JSON object with an op is expected")})
            return
        try:
            if op == "stop":
                stop(float(request.get("timeout", 10.0)), emit)
            else:
                emit(fleet.handle(op, request, emit))
        except Exception as error:
            fleet.log.write(f"internal error in {op}: {type(error).__name__}: {error}")
            emit({"ok": False, "failure": failure("internal", op, f"{type(error).__name__}: {error}")})
            raise
