"""Checks a script in a fork of the zygote, beside the service and without touching it."""

from __future__ import annotations

import queue
import signal
import time
from typing import Any

from ..ipc.failure import failure
from ..log.service_log import ServiceLog
from ..settings import Settings
from .generation import Emit
from .worker_pool import WorkerPool
from .worker_process import WorkerProcess

EXTRA_TIME = 3.0  # seconds beyond init()'s limit, for the sample and the end of the process

HEARTBEAT = 0.25  # seconds between two events that show whether the client is still connected


class _NoLog(ServiceLog):
    """Discards everything: what a checked script prints goes to its author, not to the service's log."""

    def __init__(self) -> None:
        pass

    def write(self, text: str, *, level: str = "info", **fields: Any) -> None:
        pass

    def append(self, lines: bytes) -> None:
        pass


def check_script(pool: WorkerPool, request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Answers with `result` (`worker/script_check.py`), `exit_code`, `signal` and `timed_out`.

    `result` is None when the script ended its process. Lines of output are events. Refuses with `no-fork` when no
    zygote fits the settings.
    """
    try:
        settings = Settings.from_dict(request.get("settings"))  # type: ignore[arg-type]
    except TypeError as error:
        return {"ok": False, "failure": failure("bad-request", "check", str(error))}
    process = pool.zygotes.acquire(settings) if pool.zygotes.fits(settings) else None
    if process is None:
        return {"ok": False, "failure": failure("no-fork", "check", "no process here can run the check")}
    worker = WorkerProcess(settings, _NoLog())
    worker.on_line = lambda text, level: emit({"event": "log", "text": text, "level": level})
    with pool.checking(worker):
        worker.start_check(process)
        result, timed_out = _await_result(worker, settings.init_timeout + EXTRA_TIME, emit)
        if timed_out:  # its fault handler prints where it is
            worker.signal(signal.SIGABRT)
            worker.exited.wait(2.0)
        worker.kill()
        worker.exited.wait(5.0)
    status = {"exit_code": None, "signal": None} if timed_out else worker.exit_status
    return {"ok": True, "result": result, "timed_out": timed_out, **status}


def _await_result(worker: WorkerProcess, limit: float, emit: Emit) -> tuple[dict[str, Any] | None, bool]:
    """The result, and whether the script exceeded `limit` seconds."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        try:
            event = worker.events.get(timeout=HEARTBEAT)
        except queue.Empty:
            if emit({"event": "alive"}) is False:
                return None, False
            continue
        if event["event"] == "checked":
            return event["result"], False
        if event["event"] == "exit":
            return None, False
    return None, True
