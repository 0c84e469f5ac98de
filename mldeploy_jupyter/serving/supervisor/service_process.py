"""What makes a process the supervisor of a folder: its lock, its parts, its control socket, its signals and its end."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

from ..log.service_log import ServiceLog
from ..system import procfs
from ..system.identity import folder_identity, is_removed, open_folder, process_start
from ..system.json_file import remove_unfinished, write_json
from ..system.signals import handle_signals
from .arbiter import Arbiter
from .control_server import ControlServer, Handle
from .generation import Emit
from .orphans import OrphanReaper, kill_orphans
from .spawn import MainThread

PROTOCOL = 1  # of the control socket

STOP_SECONDS = 10.0  # for the requests in flight, when a signal stops the service


def claim_folder(folder: Path) -> int | None:
    """Locks the folder and clears what a supervisor that was killed left there; None when another one holds it.

    The lock is a descriptor, and lasts as long as the process. Raises `FileNotFoundError` where the parent folder is
    missing: its workspace may be away, and a folder in its place would keep it from coming back.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
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
    """The supervisor in this process. `stop_seconds` is how long a signal lets requests in flight go on.

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
        """Answers clients until the process is told to stop. To be called from the main thread.

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
