"""Starts the supervisor, which holds a service's port and keeps its workers running.

    python -m mldeploy_serving.supervisor --folder DIR [--host 127.0.0.1] [--port N] [--resume]

Exit codes: 97 when the folder has a supervisor already, 98 when the port cannot be listened on, 99 when `DIR/live.json`
is damaged; for 98 and 99 `DIR/failure.json` says why.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from ..ipc.failure import failure
from ..log.service_log import ServiceLog
from ..settings import Settings
from ..system import procfs
from ..system.identity import folder_identity, process_start
from ..system.json_file import read_json, remove_unfinished, write_json
from ..system.listening_socket import open_listener
from ..system.signals import handle_signals
from . import EXIT_LOCKED
from .arbiter import Arbiter
from .control_server import ControlServer
from .generation import Emit
from .orphans import kill_orphans
from .reaper import OrphanReaper
from .rollout import bind_failure
from .spawn import MainThread

PROTOCOL = 1  # of the control socket

EXIT_PORT_IN_USE = 98

EXIT_LIVE_DAMAGED = 99


def main(argv: list[str] | None = None) -> int:
    options = _parse(argv)
    folder: Path = options.folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return EXIT_LOCKED
    kill_orphans(folder)
    remove_unfinished(folder)
    live = read_json(folder / "live.json") if options.resume else None
    try:
        settings = Settings.from_dict((live or {}).get("settings", {}))
    except TypeError as error:
        write_json(folder / "failure.json", failure("live-damaged", "rollout", f"{folder / 'live.json'}: {error}"))
        return EXIT_LIVE_DAMAGED
    port = options.port if options.port is not None else (live or {}).get("port", 0)
    port = port if isinstance(port, int) else 0
    (folder / "failure.json").unlink(missing_ok=True)
    try:
        listener = open_listener(options.host, port)
    except OSError as error:
        write_json(folder / "failure.json", bind_failure(port, error))
        return EXIT_PORT_IN_USE

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    log = ServiceLog(folder / "logs" / "service.log")
    threading.excepthook = lambda args: log.write(f"internal error: {args.exc_type.__name__}: {args.exc_value}")
    main_thread = MainThread()
    control = ControlServer(folder, log)

    def announce() -> None:
        data = {
            "pid": os.getpid(),
            "started": process_start(),
            "boot": procfs.read_boot_id(),
            "host": options.host,
            "port": arbiter.pool.port,
            "folder": folder_identity(folder),  # shows in a copy of the folder that this supervisor is not its own
            "control": str(control.path),
            "protocol": PROTOCOL,
        }
        write_json(folder / "supervisor.json", data)

    arbiter = Arbiter(folder, listener, options.host, log, main_thread.run, on_port=announce)
    reaper = OrphanReaper(arbiter.pool.list_pids)
    stopping = threading.Event()

    def stop(timeout: float = 10.0, emit: Emit = lambda _: None) -> None:
        """Ends all workers, then this process. Never returns: a client sees its connection end with the process."""
        if not stopping.is_set():
            stopping.set()
            arbiter.stop(timeout)
            control.remove()
            emit({"ok": True})
            main_thread.stop()
        threading.Event().wait()

    def stop_in_background() -> None:
        threading.Thread(target=stop, daemon=True).start()

    def stop_if_unused() -> None:
        if arbiter.rollouts.last is None:
            stop()

    def handle(op: str, request: dict[str, Any], emit: Emit) -> dict[str, Any]:
        if op == "stop":
            stop(float(request.get("timeout", 10.0)), emit)
        return arbiter.handle(op, request, emit)

    handle_signals(
        {signal.SIGTERM: stop_in_background, signal.SIGINT: stop_in_background, signal.SIGCHLD: reaper.notify}
    )
    if live is None:
        timer = threading.Timer(options.patience, stop_if_unused)
        timer.daemon = True
        timer.start()
    else:
        arbiter.resume(settings, str(live.get("deployment_id", "")))
    announce()
    log.write(f"listening on {options.host}:{arbiter.pool.port}")
    threading.Thread(target=control.serve, args=(handle,), daemon=True, name="control").start()
    main_thread.serve()
    log.write("stopped")
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="supervisor", description="Holds a service's port and its workers.")
    parser.add_argument("--folder", type=lambda text: Path(text).absolute(), required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, help="0: a free one; without it the one of live.json, else a free one")
    parser.add_argument("--resume", action="store_true", help="bring back what live.json says")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds until it ends if no deployment comes")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
