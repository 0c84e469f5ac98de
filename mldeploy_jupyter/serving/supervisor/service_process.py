"""Sets up the supervisor of a folder: its lock, its parts, its control socket and its signals, until its end."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from ..ipc.failure import failure
from ..log.service_log import ServiceLog
from ..settings import Settings
from ..system import procfs
from ..system.child_process import SpawnedProcess
from ..system.identity import folder_identity, is_removed, open_folder, process_start
from ..system.json_file import read_json, remove_unfinished, write_json
from ..system.listening_socket import open_listener
from ..system.signals import handle_signals
from . import EXIT_LOCKED
from .arbiter import Arbiter
from .control_server import ControlServer, Handle
from .generation import Emit
from .orphans import OrphanReaper, kill_orphans
from .rollout import bind_failure
from .spawn import MainThread

EXIT_PORT_IN_USE = 98

EXIT_LIVE_DAMAGED = 99

EXIT_FOLDER_ABSENT = 100

PROTOCOL = 1  # of the control socket

STOP_SECONDS = 10.0  # for the requests in flight, when a signal stops the service


def run(
    arguments: list[str], settings_ahead: dict[str, Any] | None = None, zygote: SpawnedProcess | None = None
) -> int:
    """Serves until it is told to stop; returns the exit code (`__main__.py`).

    `zygote` was spawned for the first deployment, of which `settings_ahead` are known.
    """
    options = _parse(arguments)
    folder: Path = options.folder
    try:
        lock = claim_folder(folder)
    except FileNotFoundError as error:
        print(f"there is nothing to serve from: {error}", file=sys.stderr)
        return EXIT_FOLDER_ABSENT
    if lock is None:
        return EXIT_LOCKED
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

    process = ServiceProcess(folder, listener, options.host, ServiceLog(folder / "logs" / "service.log"))
    arbiter = process.arbiter

    def stop_if_unused() -> None:
        if arbiter.rollouts.last is None:
            process.stop(STOP_SECONDS)

    if live is None:
        timer = threading.Timer(options.patience, stop_if_unused)
        timer.daemon = True
        timer.start()
        if zygote is not None and settings_ahead is not None:
            arbiter.begin_imports(Settings.from_dict(settings_ahead), zygote)
    else:
        arbiter.resume(settings, str(live.get("deployment_id", "")))
    process.serve()
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="supervisor", description="Holds a service's port and its workers.")
    parser.add_argument("--folder", type=lambda text: Path(text).absolute(), required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, help="0: a free one; without it the one of live.json, else a free one")
    parser.add_argument("--resume", action="store_true", help="bring back what live.json says")
    parser.add_argument("--prewarm", action="store_true", help="spawn the zygote that standard input describes")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds until it ends if no deployment comes")
    return parser.parse_args(arguments)


def claim_folder(folder: Path) -> int | None:
    """Locks the folder and clears what a supervisor that was killed left there; None when another one holds it.

    The lock is a descriptor, and lasts as long as the process. Raises `FileNotFoundError` where the folder is missing:
    the service was deleted while this process started, or its workspace is unavailable.
    """
    with contextlib.suppress(
        PermissionError
    ):  # a volume or tmpfs that belongs to root, and that everybody may write to
        folder.chmod(0o700)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    kill_orphans(folder)
    remove_unfinished(folder)
    return lock


class ServiceProcess:
    """The supervisor in this process. `stop_seconds` is how long a signal lets requests in flight continue.

    For `stop_delay` seconds before that, it still accepts requests, and `/ready` tells others to send no more.
    `shared` and `standby` are those of `WorkerPool`.
    """

    def __init__(
        self,
        folder: Path,
        listener: socket.socket,
        host: str,
        log: ServiceLog,
        *,
        stop_seconds: float = STOP_SECONDS,
        stop_delay: float = 0.0,
        shared: bool = False,
        standby: bool = False,
    ) -> None:
        self.log = log
        self._folder = folder
        self._folder_descriptor = open_folder(folder)
        self._host = host
        self._stop_seconds = stop_seconds
        self._stop_delay = stop_delay
        self._main_thread = MainThread()
        self._stopping = threading.Event()
        self._control = ControlServer(folder, log)
        threading.excepthook = lambda args: log.write(f"internal error: {args.exc_type.__name__}: {args.exc_value}")
        self.arbiter = Arbiter(
            *(folder, listener, host, log, self._main_thread.run),
            on_port=self.announce,
            check_folder=self._stop_if_folder_removed,
            shared=shared,
            standby=standby,
        )
        reaper = OrphanReaper(self.arbiter.pool.list_pids)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        handle_signals(
            {
                signal.SIGTERM: self.stop_in_background,
                signal.SIGINT: self.stop_in_background,
                signal.SIGCHLD: reaper.notify,
            }
        )

    def announce(self) -> None:
        """Writes `supervisor.json`, by which clients find this process. Raises `OSError`."""
        data = {
            "pid": os.getpid(),
            "started": process_start(),
            "boot": procfs.read_boot_id(),
            "host": self._host,
            "port": self.arbiter.pool.port,
            "folder": folder_identity(
                self._folder
            ),  # shows in a copy of the folder that this supervisor is not its own
            "control": str(self._control.path),
            "protocol": PROTOCOL,
        }
        write_json(self._folder / "supervisor.json", data)

    def serve(self, handle: Handle | None = None) -> None:
        """Answers clients until the process is told to stop. Call it from the main thread.

        `handle` answers the operations other than `stop`; without it the arbiter does.
        """
        answer = handle or self.arbiter.handle

        def handle_or_stop(op: str, request: dict[str, Any], emit: Emit) -> dict[str, Any]:
            if op == "stop":
                self.stop(float(request.get("timeout", STOP_SECONDS)), emit)
            return answer(op, request, emit)

        self.announce()
        self.log.write(f"listening on {self._host}:{self.arbiter.pool.port}")
        threading.Thread(target=self._control.serve, args=(handle_or_stop,), daemon=True, name="control").start()
        self._main_thread.serve()
        self.log.write("stopped")

    def stop(self, timeout: float, emit: Emit = lambda _: None) -> None:
        """Ends all workers, then this process. Never returns: a client sees its connection end with the process."""
        if not self._stopping.is_set():
            self._stopping.set()
            self.arbiter.stop(timeout)
            self._control.remove()
            emit({"ok": True})
            self._main_thread.stop()
        threading.Event().wait()

    def _stop_if_folder_removed(self) -> None:
        """Ends the service when its folder, such as all of its workspace, was deleted.

        Without the folder no command can find it, stop it or read its log, and it could not start another worker.
        """
        if not self._stopping.is_set() and is_removed(self._folder_descriptor):
            self.log.write("its folder was deleted; the service ends", level="warning")
            self.stop_in_background()

    def stop_in_background(self) -> None:
        threading.Thread(target=self._stop_after_delay, daemon=True).start()

    def _stop_after_delay(self) -> None:
        if self._stop_delay:
            self.arbiter.withdraw()
            self._stopping.wait(self._stop_delay)
        self.stop(self._stop_seconds)
