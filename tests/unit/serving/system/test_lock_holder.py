"""A supervisor is found by its lock and its socket when no file of it is left."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import tempfile
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.system.lock_holder import find_control_socket, find_lock_holder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_the_holder_of_a_lock_is_found(tmp_path: Path) -> None:
    lock, other = tmp_path / "lock", tmp_path / "other"
    other.touch()
    with lock.open("w") as file:
        assert find_lock_holder(lock) == 0
        fcntl.flock(file, fcntl.LOCK_EX)
        assert find_lock_holder(lock) == os.getpid()
        assert find_lock_holder(other) == find_lock_holder(tmp_path / "missing") == 0


def test_the_socket_that_a_process_listens_on_is_found() -> None:
    with tempfile.TemporaryDirectory(prefix="mldeploy-") as folder, socket.socket(socket.AF_UNIX) as listener:
        path = f"{folder}/control.sock"
        listener.bind(path)
        assert find_control_socket(os.getpid()) != path
        listener.listen()
        assert find_control_socket(os.getpid()) == path


def test_a_system_without_such_files_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    assert find_lock_holder(tmp_path / "lock", proc=tmp_path) == 0
    assert find_control_socket(1, proc=tmp_path) == ""
