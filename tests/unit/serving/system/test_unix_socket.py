"""Sockets in the file system, at long paths, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.serving.system import unix_socket


@pytest.mark.parametrize("folder", ["short", "x" * 150])
def test_a_socket_is_found_by_its_path_whatever_its_length(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "listener.sock"
    path.parent.mkdir()
    with pytest.raises(FileNotFoundError):
        unix_socket.connect(path)
    for _ in range(2):  # in the place of one that was left behind
        with unix_socket.listen(path) as listener, unix_socket.connect(path, timeout=10) as client:
            assert path.stat().st_mode & 0o777 == 0o600
            client.sendall(b"x")
            with listener.accept()[0] as connection:
                assert connection.recv(1) == b"x"
    with pytest.raises(ConnectionRefusedError):
        unix_socket.connect(path)
