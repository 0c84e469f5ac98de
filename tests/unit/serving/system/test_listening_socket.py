"""Listening sockets, and who holds a port."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mldeploy_jupyter.serving.system import listening_socket
from mldeploy_jupyter.serving.system.listening_socket import list_candidates, open_listener
from mldeploy_jupyter.serving.system.port_holder import find_port_holder


def test_the_holder_of_a_port_is_found_and_a_free_one_has_none() -> None:
    listener = open_listener("127.0.0.1", 0)
    port = listener.getsockname()[1]
    assert (find_port_holder(port) or {})["pid"] == os.getpid()
    with pytest.raises(OSError, match="in use"):
        open_listener("127.0.0.1", port)
    listener.close()
    assert find_port_holder(port) is None
    open_listener("127.0.0.1", port).close()


def test_a_service_gets_no_port_that_a_connection_may_have() -> None:
    highest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[1])
    with open_listener("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1] > highest


@pytest.mark.parametrize(
    ("limits", "allowed"),
    [
        ("32768\t60999\n", range(61000, 65536)),
        ("1024\t30000\n", range(49152, 65536)),
        ("1024\t65530\n", range(65531, 65536)),
        ("1024\t65535\n", range(0)),
        ("damaged", range(0)),
        (None, range(0)),  # no Linux
    ],
)
def test_candidates_are_above_the_ports_of_connections(tmp_path: Path, limits: str | None, allowed: range) -> None:
    file = tmp_path / "sys/net/ipv4/ip_local_port_range"
    file.parent.mkdir(parents=True)
    if limits is not None:
        file.write_text(limits)
    candidates = list_candidates(tmp_path)
    assert len(set(candidates)) == len(candidates) == min(listening_socket.CANDIDATES, len(allowed))
    assert set(candidates) <= set(allowed)


def test_where_all_candidates_are_taken_the_system_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_listener("127.0.0.1", 0) as other:
        taken = other.getsockname()[1]
        monkeypatch.setattr(listening_socket, "list_candidates", lambda: [taken, taken])
        with socket.socket() as probe, open_listener("127.0.0.1", 0) as listener:
            assert listener.getsockname()[1] not in (0, taken)
            assert probe.connect_ex(listener.getsockname()) == 0
