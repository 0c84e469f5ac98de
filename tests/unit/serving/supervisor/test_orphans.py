"""Processes that outlive a killed supervisor, and dead ones for which no thread waits."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.supervisor import orphans
from mldeploy_jupyter.serving.supervisor.orphans import kill_orphans, record_processes
from mldeploy_jupyter.serving.system import process_mark
from mldeploy_jupyter.serving.system.procfs import list_zombies
from tests.polling import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which processes they are")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-S", "-c", "import time; time.sleep(100)"]
    with subprocess.Popen(command, start_new_session=True) as process:
        yield process
        process.kill()


def test_a_recorded_process_is_killed_once(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    record_processes(tmp_path, [sleeper.pid])
    assert kill_orphans(tmp_path) == [sleeper.pid] and sleeper.wait(60) == -signal.SIGKILL
    assert kill_orphans(tmp_path) == [] and not (tmp_path / orphans.FILE).exists()


def test_a_stranger_with_the_number_of_an_old_worker_is_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    record_processes(tmp_path, [sleeper.pid])
    data = json.loads((tmp_path / orphans.FILE).read_text())
    data["groups"][str(sleeper.pid)] -= 5  # an older process had this number
    (tmp_path / orphans.FILE).write_text(json.dumps(data))
    assert kill_orphans(tmp_path) == [] and sleeper.poll() is None


@pytest.mark.parametrize("key", ["machine", "folder"])
def test_a_file_of_another_machine_boot_or_folder_kills_nothing(
    tmp_path: Path, sleeper: subprocess.Popen[bytes], key: str
) -> None:
    record_processes(tmp_path, [sleeper.pid])
    data = json.loads((tmp_path / orphans.FILE).read_text())
    (tmp_path / orphans.FILE).write_text(json.dumps({**data, key: "other"}))
    assert kill_orphans(tmp_path) == [] and sleeper.poll() is None


def test_a_copied_folder_kills_nothing_and_a_moved_one_does(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    (tmp_path / "original").mkdir()
    record_processes(tmp_path / "original", [sleeper.pid])
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    assert kill_orphans(tmp_path / "copy") == []
    (tmp_path / "original").rename(tmp_path / "moved")
    assert kill_orphans(tmp_path / "moved") == [sleeper.pid]


def test_a_process_that_left_its_session_is_found_by_its_mark(tmp_path: Path) -> None:
    mark = process_mark.new_mark()
    command = [sys.executable, "-S", "-c", "import time; time.sleep(100)"]
    environment = {**os.environ, process_mark.VARIABLE: mark}
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        record_processes(tmp_path, [], [mark])
        assert kill_orphans(tmp_path) == [process.pid] and process.wait(60) == -signal.SIGKILL


def test_only_processes_for_which_no_thread_waits_are_reaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "REAP_DELAY", 0.01)
    orphan, own = (os.posix_spawn("/bin/true", ["true"], {}) for _ in range(2))
    wait_until(lambda: {orphan, own} <= set(list_zombies(os.getpid())))
    orphans.OrphanReaper(lambda: {own}).notify()
    wait_until(lambda: orphan not in list_zombies(os.getpid()))
    assert os.waitpid(own, 0) == (own, 0)
