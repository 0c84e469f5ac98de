"""Requests on the control socket."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.serving.ipc.control_client import call
from mldeploy_jupyter.serving.supervisor.control_server import MAX_AGE, ControlServer
from tests.unit.serving.supervisor.fakes import FakeLog


@pytest.mark.parametrize(("op", "age", "carried_out"), [("deploy", 0, True), ("deploy", 1, False), ("stop", 1, True)])
def test_a_request_that_its_client_gave_up_is_not_carried_out(
    tmp_path: Path, op: str, age: int, carried_out: bool
) -> None:
    """As when the supervisor was stopped by a signal meanwhile. A stop is always wanted."""
    handled: list[str] = []

    def handle(op: str, request: dict[str, Any], emit: Any) -> dict[str, Any]:
        handled.append(op)
        return {"ok": True}

    log = FakeLog()
    server = ControlServer(tmp_path, log, clock=lambda: time.monotonic() + age * (MAX_AGE + 1))
    threading.Thread(target=server.serve, args=(handle,), daemon=True).start()
    answer = call(str(server.path), op, timeout=10)
    assert answer["ok"] is carried_out and bool(handled) is carried_out
    assert carried_out or "gave it up" in log.texts[0]
