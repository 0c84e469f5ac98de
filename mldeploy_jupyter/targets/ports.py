"""Ports of this machine: which are free, and who has one."""

from __future__ import annotations

import socket
from typing import Any

HOST = "127.0.0.1"


def find_port_holder(port: int) -> dict[str, Any] | None:
    """What is known of the process that has the port; None when the port is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            from mldeploy_jupyter.serving.system import port_holder

            holder = port_holder.find_port_holder(port)
            return {"message": error.strerror or str(error), "errno": error.errno, "holder": holder}
    return None


def find_free_port() -> int:
    """A port for a service that is free now; another program may take it before the caller does."""
    from mldeploy_jupyter.serving.system.listening_socket import open_listener

    with open_listener(HOST, 0) as probe:
        return int(probe.getsockname()[1])
