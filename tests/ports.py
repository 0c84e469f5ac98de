"""Ports of this machine for servers that a test starts."""

from __future__ import annotations

import random
import socket

# Below those that the system gives to connections and to whoever asks for any port (32768 to 60999 on Linux): one of
# these is still free when the server that it was chosen for starts, seconds later.
RANGE = range(10_000, 32_768)


def free_port() -> int:
    """A port of 127.0.0.1 that nothing has."""
    choose = random.SystemRandom()  # two halves of the tests with the same seed would choose the same
    while True:
        port = choose.choice(RANGE)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
