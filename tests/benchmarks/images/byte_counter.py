"""A relay in front of an engine or a registry that counts what is sent to it, whoever sends it."""

from __future__ import annotations

import socket
import threading
from pathlib import Path


class ByteCounter:
    """Passes connections on, from a Unix socket to another one, or from a port of 127.0.0.1 to another one.

    `sent` is the number of bytes that clients have sent since the last `reset()`.
    """

    def __init__(self, real: str, folder: Path) -> None:
        """`real` is where the server listens: `unix:///path` or `127.0.0.1:PORT`."""
        self.sent = 0
        if real.startswith("unix://"):
            self._family, self._real = socket.AF_UNIX, real.removeprefix("unix://")
            self._listener = socket.socket(socket.AF_UNIX)
            place = str(folder / "counted.sock")
            self._listener.bind(place)
            self.address = f"unix://{place}"
        else:
            host, _, port = real.partition(":")
            self._family, self._real = socket.AF_INET, (host, int(port))  # type: ignore[assignment]
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self) -> int:
        """Bytes since the last reset."""
        sent, self.sent = self.sent, 0
        return sent

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            server = socket.socket(self._family)
            server.connect(self._real)
            for source, target, counts in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=(source, target, counts), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        try:
            while piece := source.recv(1 << 16):
                if counts:
                    self.sent += len(piece)
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, target):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
