"""Opens the socket on which the workers of a service accept connections, and chooses its port."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

from . import procfs

BACKLOG = 2048  # connections that the kernel completes before a worker accepts them

DYNAMIC_PORTS = range(49_152, 65_536)  # of which none is assigned to a protocol (RFC 6335)

CANDIDATES = 20  # ports to try before the system chooses one


def open_listener(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 picks a free one. Raises `OSError` (EADDRINUSE when the port is taken)."""
    for candidate in list_candidates() if port == 0 else ():
        try:
            return _listen(host, candidate)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    return _listen(host, port)


def list_candidates(proc: Path = procfs.PROC) -> list[int]:
    """Ports for a service that asks for none, from a random one on; all of them may be taken.

    They are above those that the system gives to connections, by default 32768 to 60999 on Linux: while a service is
    stopped, a connection of any program could take one of these, and the service would come back at another address.
    """
    limits = procfs.read_file("sys", "net/ipv4/ip_local_port_range", proc).split()
    if len(limits) != 2 or not limits[1].isdigit():
        return []
    ports = range(max(int(limits[1]) + 1, DYNAMIC_PORTS.start), DYNAMIC_PORTS.stop)
    start = int.from_bytes(os.urandom(4), "big")
    return [ports[(start + number) % len(ports)] for number in range(min(CANDIDATES, len(ports)))]


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Allows a port that is in TIME_WAIT, but not one that another process listens on.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
