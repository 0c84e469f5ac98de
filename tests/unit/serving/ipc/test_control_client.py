"""The client of the control protocol."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.ipc.control_client import ControlError, call


def test_a_client_without_a_supervisor_says_which(tmp_path: Path) -> None:
    path = str(tmp_path / "control.sock")
    with pytest.raises(ControlError, match="cannot be reached"):
        call(path, "status")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with pytest.raises(ControlError, match=r"did not answer within 0\.1 s"):
            call(path, "status", timeout=0.1)
