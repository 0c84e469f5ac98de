"""The operations of the control protocol, without a worker."""

from __future__ import annotations

import queue
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.log.service_log import ServiceLog
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor.arbiter import Arbiter
from mldeploy_jupyter.serving.supervisor.generation import Aborted, Generation
from mldeploy_jupyter.serving.system.listening_socket import open_listener


def test_a_service_that_stops_takes_no_deployment(tmp_path: Path) -> None:
    arbiter = Arbiter(
        tmp_path, open_listener("127.0.0.1", 0), "127.0.0.1", ServiceLog(tmp_path / "log"), lambda task: task()
    )
    assert arbiter.handle("nonsense", {}, print)["failure"]["code"] == "bad-request"
    assert arbiter.restart(print) == {"ok": True, "restarted": 0}
    assert arbiter.reload_keys() == {"ok": True, "workers": 0}
    arbiter.stop(1)
    answer = arbiter.handle("deploy", {"settings": {}, "deployment_id": "d"}, print)
    assert answer["failure"]["code"] == "busy"
    generation = Generation(Settings(), "d", arbiter.pool.listener)
    with pytest.raises(Aborted, match="stopping"):
        arbiter.pool.spawn(generation, queue.SimpleQueue(), print, answer_early=False)
