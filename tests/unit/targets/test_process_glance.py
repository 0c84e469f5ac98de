"""What local services do, at a glance."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.core.files import write_json
from mldeploy_jupyter.core.process_identity import start_time
from mldeploy_jupyter.serving.system.identity import folder_identity
from mldeploy_jupyter.targets import process_glance
from mldeploy_jupyter.targets.process_glance import Glance, Glances, ProcessEnds
from tests.polling import wait_until


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    found = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield found
    found.kill()
    found.communicate()


class Looks:
    """Counts the looks into folders; `now` is long after every change, so that folders' times are trusted."""

    def __init__(self, services: Path) -> None:
        self.glances = Glances(services, now=lambda: 2**62)
        self.services = services

    def write(self, pid: int) -> None:
        folder = self.services / "svc"
        folder.mkdir(exist_ok=True)
        data = {"pid": pid, "started": start_time(pid), "port": 1, "control": "x", "folder": folder_identity(folder)}
        write_json(folder / "supervisor.json", data)
        write_json(folder / "live.json", {"settings": {}, "revision": 1, "port": 1, "deployment_id": "d1"})

    def state(self) -> str:
        return self.glances.look(["svc"])["svc"].state


@pytest.fixture
def looks(tmp_path: Path) -> Iterator[Looks]:
    found = Looks(tmp_path)
    yield found
    found.glances.close()


@pytest.mark.parametrize("descriptors", [True, False], ids=["descriptors", "without"])
def test_a_service_starts_stops_and_dies(
    looks: Looks, process: subprocess.Popen[bytes], descriptors: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not descriptors:
        monkeypatch.setattr(process_glance, "MAX_DESCRIPTORS", 0.0)
    assert looks.state() == "Absent"
    looks.write(process.pid)
    assert looks.glances.look(["svc"]) == {"svc": Glance("Live", process.pid)}
    assert not looks.glances.has_ended()
    process.kill()  # it becomes a zombie: nobody has waited for it
    wait_until(looks.glances.has_ended)
    assert looks.state() == "Unhealthy" and not looks.glances.has_ended()
    process.wait()
    assert looks.state() == "Unhealthy"
    (looks.services / "svc" / "supervisor.json").unlink()
    assert looks.state() == "Stopped"
    shutil.rmtree(looks.services / "svc")
    assert looks.state() == "Absent"


def test_a_folder_that_is_as_it_was_is_not_read(
    looks: Looks, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks.write(process.pid)
    assert looks.state() == "Live"
    monkeypatch.setattr(Glances, "_read", lambda self, folder, processes: pytest.fail("it was read"))
    assert [looks.state() for _ in range(3)] == ["Live"] * 3


def test_a_folder_that_changed_a_moment_ago_is_read_again(
    tmp_path: Path, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks(tmp_path)
    looks.write(process.pid)
    changed = (tmp_path / "svc").stat().st_mtime_ns
    looks.glances = Glances(tmp_path, now=lambda: changed + process_glance.FRESH_NS)
    assert looks.state() == "Live"
    read: list[Any] = []
    monkeypatch.setattr(Glances, "_read", lambda self, folder, processes: read.append(folder) or Glance("Live"))
    looks.state()
    assert read
    looks.glances.close()


def test_a_pid_that_was_used_again_is_another_process(process: subprocess.Popen[bytes]) -> None:
    ends = ProcessEnds()
    assert not ends.watch(process.pid, "1") and not ends.watch(2**22 + 1, "")
    assert ends.watch(process.pid, start_time(process.pid)) and ends.find_ended() == set()
    ends.keep(set())
    assert ends.find_ended() == set()


def test_descriptors_are_closed_and_never_more_than_a_part_of_what_may_be_open(
    process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    count = lambda: len(os.listdir("/proc/self/fd"))  # noqa: E731
    before = count()
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (4, 4))
    ends = ProcessEnds()
    assert ends.watch(process.pid, start_time(process.pid)) and ends.watch(os.getpid(), start_time(os.getpid()))
    assert count() == before + 1
    ends.keep(set())
    assert count() == before
