"""Services in containers and as processes in one run, and what happens to a container in the middle of one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mldeploy_jupyter import InferenceConfig, LocalWebservice, Model, Webservice, Workspace, measure_latency
from mldeploy_jupyter.api.webservices.latency.measure import start_latency
from mldeploy_jupyter.latency.recording import Outcome
from mldeploy_jupyter.targets.docker import names
from tests.engines.docker import RunningEngine
from tests.integration.latency.test_measured_services import BATCHED, SCRIPT
from tests.polling import wait_until

pytestmark = [pytest.mark.engines, pytest.mark.network, pytest.mark.slow, pytest.mark.usefixtures("any_lag")]

WITHOUT_SAMPLE = """
import json, time

def init():
    pass

def run(data):
    time.sleep({seconds})
    return [sum(row) for row in json.loads(data)["data"]]
"""

PAYLOAD = {"data": [[1.0, 2.0]]}


@pytest.fixture
def ws(
    folder: Path, docker_engine: RunningEngine, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    monkeypatch.setenv("DOCKER_HOST", docker_engine.host)
    workspace = Workspace.create(path=str(folder))
    workspace.update(base_image=base_image)
    yield workspace
    for service in Webservice.list(workspace):
        service.delete()


def deploy(ws: Workspace, name: str, script: str, **settings: object) -> Webservice:
    Path(f"{name}.py").write_text(script)
    config = LocalWebservice.deploy_configuration(**settings)
    return Model.deploy(ws, name, [], InferenceConfig(f"{name}.py"), config)


def find_pid(ws: Workspace, engine: RunningEngine, name: str) -> int:
    """Of the first process in the container that serves; 0 while it does not run."""
    found = {names.WORKSPACE: ws.folder.id, names.SERVICE: name, names.ROLE: names.SERVICE_ROLE}
    labels = [f"{label}={value}" for label, value in found.items()]
    return sum(int(one.attrs["State"]["Pid"]) for one in engine.client().containers.list(filters={"label": labels}))


def test_processes_and_a_container_in_one_run_and_what_happens_to_the_container(
    ws: Workspace, docker_engine: RunningEngine
) -> None:
    services = [
        deploy(ws, "boxed", WITHOUT_SAMPLE.format(seconds=0.002), engine="docker", auth_enabled=True),
        deploy(ws, "plain", SCRIPT.format(seconds=0)),
        deploy(ws, "batched", BATCHED, max_batch_size=8, auth_enabled=False),
        deploy(ws, "sleepy", SCRIPT.format(seconds=0.03)),
    ]
    for service in services:
        service.wait_for_deployment(timeout_sec=300)
    boxed = services[0]

    result = measure_latency(services, rate=30, duration=3, payload=PAYLOAD, show_output=False)
    rows = {row["service"]: row for row in result.rows()}
    assert [*rows] == ["boxed", "plain", "batched", "sleepy"]
    assert all(row["requests"] == 90 and row["errors"] == 0 for row in rows.values()), rows
    assert rows["boxed"]["cold_start"] > 2 and rows["boxed"]["run"] > 2 and rows["sleepy"]["run"] > 30
    assert [*dict.fromkeys(trace["name"] for trace in result.figure("spectrum").to_dict()["data"])] == [*rows]

    told: list[str] = []
    run = start_latency(
        boxed, rate=50, duration=120, payload=PAYLOAD, on_event=lambda event: told.append(event.get("kind", ""))
    )
    answered = lambda: run.progress["services"][0]["done"] if run.progress else 0  # noqa: E731
    wait_until(lambda: answered() > 50, what="the run to begin")
    Path("boxed.py").write_text(WITHOUT_SAMPLE.format(seconds=0.015))
    boxed.reload(wait=True)
    wait_until(lambda: "revision" in told, what="the new revision to be noticed")
    boxed.regen_key("Primary")
    wait_until(lambda: "key" in told, what="the new key to be used")
    os.kill(find_pid(ws, docker_engine, "boxed"), signal.SIGKILL)
    wait_until(lambda: "back" in told, 60, "the container to be back")
    before = answered()
    wait_until(lambda: answered() > before + 50, what="it to be measured on")
    result = run.stop()
    (row,) = result.rows()
    assert row["revisions"] == [1, 2] and row["cold_start"] is None
    old, new = result.rows("revision")
    assert old["run"] < new["run"] and new["run"] > 15, (old, new)
    kinds = [note["kind"] for note in result.ending.notes]
    assert "deployment" in kinds and "died" not in kinds, result.ending.notes
    seen = {Outcome(int(one)) for one in np.unique(result.counted["outcome"])}
    assert {Outcome.UNAUTHORISED, Outcome.UNAVAILABLE} <= seen and "boxed answers again" in str(result)
    print(result)
