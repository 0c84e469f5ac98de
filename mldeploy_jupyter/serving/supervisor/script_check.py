"""The supervisor's side of a check in a fork: a script runs once, beside the service and without touching it."""

from __future__ import annotations

import queue
import signal
import time
from typing import TYPE_CHECKING, Any

from ..ipc.failure import failure
from ..log.service_log import ServiceLog
from ..settings import Settings
from .generation import Emit
from .worker_process import Worker

if TYPE_CHECKING:
    from .arbiter import Arbiter


ENDING = 3.0  # seconds beyond init()'s limit: the sample, the end

HEARTBEAT = 0.25  # seconds between two looks whether the client is still there


class _NoLog(ServiceLog):
    """What a checked script prints is its author's, not the service's."""

    def __init__(self) -> None:
        pass

    def write(self, text: str, *, level: str = "info", **fields: Any) -> None:
        pass

    def append(self, lines: bytes) -> None:
        pass


def check(fleet: Arbiter, request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Answers with `result` (`check.py`; None when the script ended its process), `exit_code`, `signal`, `timed_out`.

    Lines of output are events. Refused with `no-fork` where this service forks nothing that fits.
    """
    try:
        settings = Settings.from_dict(request.get("settings"))  # type: ignore[arg-type]
    except TypeError as error:
        return {"ok": False, "failure": failure("bad-request", "check", str(error))}
    born = fleet.nursery.take(settings) if fleet.nursery.fits(settings) else None
    if born is None:
        return {"ok": False, "failure": failure("no-fork", "check", "no process here fits the check")}
    worker = Worker(settings, _NoLog())
    worker.on_line = lambda _, text: emit({"event": "log", "text": text})
    with fleet.checked(worker):
        worker.check(born)
        result, timed_out = _await(worker, settings.init_timeout + ENDING, emit)
        if timed_out:  # its fault handler says where it is
            worker.signal(signal.SIGABRT)
            worker.exited.wait(2.0)
        worker.kill()
        worker.exited.wait(5.0)
    end = {"exit_code": None, "signal": None} if timed_out else worker.end
    return {"ok": True, "result": result, "timed_out": timed_out, **end}


def _await(worker: Worker, limit: float, emit: Emit) -> tuple[dict[str, Any] | None, bool]:
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
