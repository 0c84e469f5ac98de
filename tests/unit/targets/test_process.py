"""What the local target says of a plan and of services that do not run."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core.records import DeploymentRequest, RevisionRecord, ServiceRecord
from mldeploy_jupyter.serving.system.identity import folder_identity
from mldeploy_jupyter.targets import Plan, TargetContext, TargetFailure
from mldeploy_jupyter.targets.process import ProcessTarget

SERVICE = ServiceRecord("svc", "local", "Local")


@pytest.fixture
def target(tmp_path: Path) -> ProcessTarget:
    return ProcessTarget(TargetContext("w", tmp_path))


def plan(config: dict[str, Any] | None = None, **inference: Any) -> Plan:
    request = DeploymentRequest("svc", "local", inference_config=inference)
    return Plan(request, SERVICE, RevisionRecord("svc", 1), config=config or {})


@pytest.fixture
def used_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_in_use_is_a_failure_that_names_its_holder(target: ProcessTarget, used_port: int) -> None:
    with pytest.raises(TargetFailure) as failure:
        target.check(plan({"port": used_port}))
    assert (failure.value.failure["code"], failure.value.failure["port"]) == ("port-in-use", used_port)


def test_settings_that_only_a_container_uses_are_a_warning(target: ProcessTarget) -> None:
    environment = {"docker": {"baseImage": "x"}, "spark": {"y": 1}}
    (finding,) = target.check(plan(enable_gpu=True, runtime="spark-py", environment_definition=environment))
    assert finding.level == "warning"
    assert finding.what.endswith(": enable_gpu, runtime spark-py, environment.docker.baseImage, environment.spark")
    assert target.check(plan(runtime="python")) == []


def test_a_service_without_files_is_absent(target: ProcessTarget) -> None:
    assert target.status(SERVICE).state == "Absent"
    assert not target.is_running("svc")
    assert list(target.discover()) == []


def test_a_stopped_service_has_its_revision(target: ProcessTarget, tmp_path: Path) -> None:
    (tmp_path / "svc").mkdir()
    (tmp_path / "svc" / "live.json").write_text(json.dumps({"revision": 3, "deployment_id": "d"}))
    status = target.status(SERVICE)
    assert (status.state, status.revision, status.deployment_id, status.failure) == ("Stopped", 3, "d", None)
    assert [(record.name, record.revision) for record in target.discover()] == [("svc", 3)]


def test_a_service_whose_supervisor_died_is_unhealthy(target: ProcessTarget, tmp_path: Path) -> None:
    (tmp_path / "svc").mkdir()
    dead = {"pid": 1, "started": "1", "control": "x", "folder": folder_identity(tmp_path / "svc")}
    (tmp_path / "svc" / "supervisor.json").write_text(json.dumps(dead))
    status = target.status(SERVICE)
    assert status.state == "Unhealthy" and (status.failure or {})["code"] == "supervisor-lost"
