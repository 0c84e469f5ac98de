"""A supervisor is found through the files of its service's folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.serving.system.identity import folder_identity
from mldeploy_jupyter.targets import TargetFailure
from mldeploy_jupyter.targets.supervisor_client import SupervisorClient


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """The folder of a service whose supervisor is this process."""
    folder = tmp_path / "svc"
    folder.mkdir()
    describe(folder)
    return folder


def describe(folder: Path, **changes: Any) -> None:
    who = process_identity.identify_process()
    data = {"pid": who["pid"], "started": who["started"], "port": 8000, "control": "/somewhere/control.sock"}
    data |= {"folder": folder_identity(folder), **changes}
    (folder / "supervisor.json").write_text(json.dumps(data))


def test_a_running_supervisor_is_found(service: Path) -> None:
    client = SupervisorClient(service)
    assert (client.find_process() or {})["port"] == 8000
    assert not client.has_crashed()


def test_the_control_socket_is_found_after_a_move(service: Path) -> None:
    (service / "control.sock").touch()
    assert (SupervisorClient(service).find_process() or {})["control"] == str(service / "control.sock")


def test_another_process_with_the_same_pid_is_not_the_supervisor(service: Path) -> None:
    describe(service, started="1")
    client = SupervisorClient(service)
    assert client.find_process() is None and client.has_crashed()


def test_a_supervisor_that_does_not_know_its_start_is_found_by_its_pid(service: Path) -> None:
    describe(service, started=0)
    assert SupervisorClient(service).find_process() is not None


def test_a_copied_folder_has_no_supervisor_and_did_not_crash(service: Path, tmp_path: Path) -> None:
    shutil.copytree(service, tmp_path / "copy")
    client = SupervisorClient(tmp_path / "copy")
    assert client.find_process() is None and not client.has_crashed()


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_damaged_description_is_of_a_process_that_was_not_stopped(service: Path, content: str) -> None:
    (service / "supervisor.json").write_text(content)
    (service / "live.json").write_text(content)
    client = SupervisorClient(service)
    assert client.find_process() is None and client.has_crashed() and client.read_live() == {}


def test_a_request_to_a_supervisor_that_is_gone_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(TargetFailure) as failure:
        SupervisorClient(tmp_path).call("status")
    assert failure.value.failure["code"] == "supervisor-lost"


def test_a_request_to_a_supervisor_that_does_not_listen_is_a_failure(service: Path) -> None:
    (service / "control.sock").touch()
    with pytest.raises(TargetFailure, match="went away"):
        SupervisorClient(service).call("status")


def test_a_supervisor_whose_socket_was_removed_is_not_called_gone(service: Path) -> None:
    with pytest.raises(TargetFailure) as failure:
        SupervisorClient(service).call("status")
    assert failure.value.failure["what"] == "the supervisor of svc cannot be reached"
    assert "/somewhere/control.sock" in failure.value.failure["why"]
