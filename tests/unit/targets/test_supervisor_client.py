"""A supervisor is found through the files of its service's folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.serving.supervisor import EXIT_LOCKED
from mldeploy_jupyter.serving.supervisor.service_process import EXIT_FOLDER_ABSENT
from mldeploy_jupyter.serving.system.identity import folder_identity
from mldeploy_jupyter.serving.system.lock_holder import Processes
from mldeploy_jupyter.targets import TargetFailure
from mldeploy_jupyter.targets.supervisor_client import SupervisorClient
from tests.polling import wait_until


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with us."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


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


def test_a_process_of_the_next_boot_is_not_the_supervisor(service: Path) -> None:
    describe(service, boot="an earlier one")
    client = SupervisorClient(service)
    assert client.find_process() is None and client.has_crashed()
    client.stop()  # this process is not killed


def test_a_stranger_with_the_pid_of_a_dead_supervisor_is_not_killed(
    service: Path, stranger: subprocess.Popen[bytes]
) -> None:
    describe(service, pid=stranger.pid, started="1")
    client = SupervisorClient(service)
    assert client.find_process() is None and client.has_crashed()
    with pytest.raises(TargetFailure, match="gone"):
        client.call("status")
    client.stop()
    assert stranger.poll() is None and not (service / "supervisor.json").exists()


def test_one_that_another_has_just_started_is_awaited(tmp_path: Path) -> None:
    """The process ends with 97 because the folder is locked, before the other one has described itself."""
    folder = tmp_path / "svc"
    folder.mkdir()
    process = subprocess.Popen([sys.executable, "-c", f"import sys; sys.exit({EXIT_LOCKED})"])
    process.wait()
    client = SupervisorClient(folder, wait=lambda seconds: describe(folder))
    assert (client.await_process(process) or {})["port"] == 8000


def test_processes_are_looked_at_only_after_a_second_without_a_file(
    tmp_path: Path, stranger: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor that starts writes its file within a second, unless the disk is full."""
    times = iter([0.0, 0.0, 0.5, 1.5, 2.0])
    looked: list[float] = []
    client = SupervisorClient(tmp_path, clock=lambda: next(times), wait=lambda seconds: None)
    monkeypatch.setattr(client, "_find_lock_holder", lambda: looked.append(1) or {"port": 8000})
    assert (client.await_process(stranger) or {})["port"] == 8000
    assert next(times) == 2.0 and len(looked) == 1


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
    with pytest.raises(TargetFailure, match="the supervisor was lost"):
        SupervisorClient(service).call("status")


def test_a_supervisor_whose_socket_was_removed_is_not_called_gone(service: Path) -> None:
    with pytest.raises(TargetFailure) as failure:
        SupervisorClient(service).call("status")
    assert failure.value.failure["what"] == "the supervisor of svc cannot be reached"
    assert "/somewhere/control.sock" in failure.value.failure["why"]


@pytest.fixture
def starting(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor that is not ready to be found: it waits for its standard input."""
    with SupervisorClient(tmp_path / "svc").spawn(0, prewarm=True) as process:
        wait_until(lambda: Processes().find_supervisor(tmp_path / "svc") == process.pid)
        yield process
        process.kill()


def test_a_supervisor_that_is_only_starting_is_ended(tmp_path: Path, starting: subprocess.Popen[bytes]) -> None:
    (tmp_path / "copy").mkdir()
    SupervisorClient(tmp_path / "copy").stop()  # of another service
    assert starting.poll() is None
    SupervisorClient(tmp_path / "svc").stop()
    wait_until(lambda: starting.poll() is not None)


def test_a_supervisor_that_starts_when_its_service_was_deleted_ends(
    tmp_path: Path, starting: subprocess.Popen[bytes]
) -> None:
    shutil.rmtree(tmp_path / "svc")
    assert starting.stdin is not None
    starting.stdin.close()
    wait_until(lambda: starting.poll() is not None)
    assert starting.returncode == EXIT_FOLDER_ABSENT and not (tmp_path / "svc").exists()
