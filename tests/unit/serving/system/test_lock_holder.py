"""A supervisor is found by its lock and its socket when no file of it is left."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.system.lock_holder import SUPERVISOR, Processes, find_control_socket

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_the_holder_of_a_lock_is_found(tmp_path: Path) -> None:
    lock, other = tmp_path / "lock", tmp_path / "other"
    other.touch()
    with lock.open("w") as file:
        assert Processes().find_lock_holder(lock) == 0
        fcntl.flock(file, fcntl.LOCK_EX)
        assert Processes().find_lock_holder(lock) == os.getpid()
        assert Processes().find_lock_holder(other) == Processes().find_lock_holder(tmp_path / "missing") == 0


LISTEN = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
for _ in range(2):
    print(flush=True)
    input()
    listener.listen()
"""


def test_the_socket_that_a_process_listens_on_is_found() -> None:
    # A process of its own: this one may have sockets of other tests.
    with tempfile.TemporaryDirectory(prefix="mldeploy-") as folder:
        path = f"{folder}/control.sock"
        command = [sys.executable, "-c", LISTEN, path]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None and process.stdout is not None
            process.stdout.readline()
            assert find_control_socket(process.pid) != path
            print(file=process.stdin, flush=True)
            process.stdout.readline()
            assert find_control_socket(process.pid) == path
            print(file=process.stdin, flush=True)


def test_a_system_without_such_files_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    assert Processes(tmp_path).find_lock_holder(tmp_path / "lock") == 0
    assert find_control_socket(1, proc=tmp_path) == ""


def test_a_supervisor_without_its_folder_is_found_by_its_command_line(tmp_path: Path) -> None:
    def process(pid: int, *words: str) -> None:
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cmdline").write_bytes(b"\0".join(word.encode() for word in words) + b"\0")

    process(5, "python", "-m", SUPERVISOR, "--folder", "/w/services/other", "--port", "0")
    process(6, "vim", "--folder", "/w/services/svc")
    process(7, "python", "-P", "-m", SUPERVISOR, "--folder", "/w/services/svc", "--port", "0")
    assert Processes(tmp_path).find_supervisor(Path("/w/services/svc")) == 7
    assert Processes(tmp_path).find_supervisor(Path("/w/services/sv")) == 0


def test_a_supervisor_of_a_container_in_a_folder_of_the_same_path_is_another_one(tmp_path: Path) -> None:
    folder, other, words = tmp_path / "svc", tmp_path / "other", ("python", "-m", SUPERVISOR, "--folder")
    for pid, cwd in ((5, folder), (6, other), (7, folder)):
        cwd.mkdir(exist_ok=True)
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cwd").symlink_to(cwd)
        (tmp_path / str(pid) / "cmdline").write_text("\0".join((*words, str(folder), "")))
    assert sorted(Processes(tmp_path).list_supervisors_in(folder)) == [5, 7]
    folder.rmdir()
    assert Processes(tmp_path).list_supervisors_in(folder) == []
