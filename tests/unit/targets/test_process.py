"""What the local target says of a plan and of services that do not run."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.files import write_json
from mldeploy_jupyter.core.keys import are_confirmed, ensure_keys
from mldeploy_jupyter.core.records import DeploymentRequest, RevisionRecord, ServiceRecord
from mldeploy_jupyter.serving.system.identity import folder_identity
from mldeploy_jupyter.targets import Plan, TargetContext, TargetFailure
from mldeploy_jupyter.targets.process import ProcessTarget, count_cores

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


def test_far_more_workers_than_cores_are_a_warning(target: ProcessTarget) -> None:
    cores = count_cores()
    assert target.check(plan({"worker_count": 2 * cores + 1})) == []
    (finding,) = target.check(plan({"worker_count": 200 * cores}))
    assert finding.level == "warning"
    assert finding.what == f"{200 * cores} workers share {cores} core{'s' * (cores > 1)}, and each loads the model"


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


@pytest.fixture
def running(tmp_path: Path, used_port: int) -> Iterator[dict[str, Any]]:
    """What a supervisor that listens on `used_port` has written: this process stands in for it."""
    (tmp_path / "svc").mkdir()
    data = {
        "pid": os.getpid(),
        "started": process_identity.start_time(os.getpid()),
        "port": used_port,
        "control": "x",
        "folder": folder_identity(tmp_path / "svc"),
    }
    write_json(tmp_path / "svc" / "supervisor.json", data)
    return data


def test_what_listens_is_the_service_only_while_its_supervisor_holds_the_port(
    target: ProcessTarget, tmp_path: Path, running: dict[str, Any]
) -> None:
    uri = f"http://127.0.0.1:{running['port']}/score"
    assert target.refuse_endpoint(SERVICE, uri) == ""
    assert "another program" in target.refuse_endpoint(SERVICE, "http://127.0.0.1:9/score")
    for foreign in (f"http://127.0.0.2:{running['port']}/", f"https://127.0.0.1:{running['port']}/", "http:///score"):
        assert "no other address" in target.refuse_endpoint(SERVICE, foreign)
    with socket.socket() as old:  # it moves, and still listens on the port before
        old.bind(("127.0.0.1", 0))
        old.listen()
        assert target.refuse_endpoint(SERVICE, f"http://127.0.0.1:{old.getsockname()[1]}/score") == ""
    for gone in ({"started": "1"}, {"pid": 2**22 + 1}, {"folder": "1:1"}):
        write_json(tmp_path / "svc" / "supervisor.json", {**running, **gone})
        assert "is gone" in target.refuse_endpoint(SERVICE, uri)
    (tmp_path / "svc" / "supervisor.json").unlink()
    assert "is gone" in target.refuse_endpoint(SERVICE, uri)


@pytest.mark.parametrize(
    ("settings", "died", "told"),
    [
        ({}, True, "its keys are replaced: mldeploy service get-keys svc"),
        ({"auth_enabled": False, "token_auth_enabled": True}, True, "its tokens are void"),
        ({"auth_enabled": False}, True, ""),
        ({}, False, ""),
    ],
    ids=["keys", "tokens", "open", "stopped"],
)
def test_keys_are_replaced_when_the_port_was_free_without_a_stop(
    target: ProcessTarget, tmp_path: Path, settings: dict[str, Any], died: bool, told: str
) -> None:
    folder = tmp_path / "svc"
    before = ensure_keys(folder / "keys.json", make_folder=True)
    write_json(folder / "live.json", {"settings": settings})
    if died:
        write_json(folder / "supervisor.json", {"pid": 1, "started": "1", "folder": folder_identity(folder)})
    lines: list[str] = []
    target.control(SERVICE, "stop", lambda stage, kind, text="", **data: lines.append(text))
    after = ensure_keys(folder / "keys.json")
    assert len(lines) == bool(told) and told in "".join(lines)
    assert (after == before) is not bool(told)
    if told:
        assert len({after.primary, after.secondary, before.primary, before.secondary}) == 4
        assert after.token_secret != before.token_secret
    assert are_confirmed(folder / "keys.json") or not told
