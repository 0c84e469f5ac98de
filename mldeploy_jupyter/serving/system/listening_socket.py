"""Opens the socket on which the workers of a service accept connections."""

from __future__ import annotations

import socket

BACKLOG = 2048  # connections that the kernel completes before a worker accepts them


def open_listener(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 picks a free one. Raises `OSError` (EADDRINUSE when the port is taken)."""
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
