"""The process that holds a service's port and looks after its workers.

    python -m mldeploy_serving.supervisor --folder DIR [--host 127.0.0.1] [--port N] [--resume]

It never runs user code and no request passes through it. The standard library is all it imports, and it
does so sparingly: it lives as long as the service. Exit codes: 97 another supervisor has the folder,
98 the port is taken (`DIR/failure.json` says by whom).
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..ipc.failure import failure
from ..log.service_log import ServiceLog
from ..settings import Settings
from ..system import listening_socket as listening
from ..system import procfs, signals
from ..system.identity import folder_identity
from ..system.json_file import read_json, write_json
from . import orphans
from .arbiter import Arbiter
from .control_server import _control_socket, _remove_control, _serve_control
from .reaper import OrphanReaper

PROTOCOL = 1

EXIT_LOCKED = 97

EXIT_PORT_IN_USE = 98


class MainThread:
    """Runs tasks of other threads in the main thread, one after the other, until it is told to stop."""

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run(self, task: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            return task()
        answer: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._tasks.put((task, answer))
        result, error = answer.get()
        if error is not None:
            raise error
        return result

    def stop(self) -> None:
        self._tasks.put(None)

    def serve(self) -> None:
        while (item := self._tasks.get()) is not None:
            task, answer = item
            try:
                answer.put((task(), None))
            except BaseException as error:
                answer.put((None, error))


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
    orphans.kill_orphans(folder)
    live = read_json(folder / "live.json") if options.resume else None
    port = options.port if options.port is not None else (live or {}).get("port", 0)
    (folder / "failure.json").unlink(missing_ok=True)
    try:
        listener = listening.open_listener(options.host, port)
    except OSError as error:
        holder = procfs.find_port_holder(port) if error.errno == errno.EADDRINUSE else None
        code = "port-in-use" if error.errno == errno.EADDRINUSE else "spawn-failed"
        data = failure(code, "rollout", f"port {port}: {error.strerror}", port=port, holder=holder)
        write_json(folder / "failure.json", data)
        return EXIT_PORT_IN_USE

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    log = ServiceLog(folder / "logs" / "service.log")
    threading.excepthook = lambda args: log.write(f"internal error: {args.exc_type.__name__}: {args.exc_value}")
    main_thread = MainThread()
    control, control_path = _control_socket(folder)
    fleet = Arbiter(folder, listener, options.host, log, main_thread.run)
    strangers = OrphanReaper(fleet.pids)

    def announce() -> None:
        facts = {"pid": os.getpid(), "started": procfs.start_time(), "host": options.host, "port": fleet.port}
        facts["folder"] = folder_identity(folder)  # a copy of the folder must not take us for its own
        write_json(folder / "supervisor.json", {**facts, "control": str(control_path), "protocol": PROTOCOL})

    fleet.on_port = announce
    stopping = threading.Event()

    def stop(timeout: float = 10.0, emit: Any = None) -> None:
        """Ends all workers, then this process; never returns to a client, who sees the end of the connection."""
        if not stopping.is_set():
            stopping.set()
            fleet.stop(timeout)
            _remove_control(folder, control_path)
            if emit is not None:
                emit({"ok": True})
            main_thread.stop()
        threading.Event().wait()

    def asked() -> None:
        threading.Thread(target=stop, daemon=True).start()

    signals.handle_signals({signal.SIGTERM: asked, signal.SIGINT: asked, signal.SIGCHLD: strangers.look})
    if live is None:
        _later(options.patience, lambda: stop() if fleet.deployments.last is None else None)
    else:
        fleet.resume(Settings.from_dict(live["settings"]), live.get("deployment_id", ""))
    announce()
    log.write(f"listening on {options.host}:{fleet.port}")
    threading.Thread(target=_serve_control, args=(control, fleet, stop), daemon=True).start()
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


def _later(seconds: float, task: Callable[[], Any]) -> None:
    timer = threading.Timer(seconds, task)
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main())
