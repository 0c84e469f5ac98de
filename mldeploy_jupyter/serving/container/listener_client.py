"""A supervisor's connection to the process that owns its port (`listener.py`)."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ..ipc.channel import Channel
from ..log.service_log import ServiceLog
from ..system import unix_socket

FIRST_PAUSE, LAST_PAUSE = 0.02, 0.5  # seconds between two attempts to connect

CONNECT_TIMEOUT = 2.0  # seconds for the listener to send its socket


class ListenerClient:
    """Gets the listening socket, and the new one after the listener was restarted.

    The socket of the first `connect` is kept: its descriptor means the current one (`WorkerPool.listen_on`).
    """

    def __init__(self, path: Path, log: ServiceLog) -> None:
        self._path = path
        self._log = log
        self._serving = False
        self._listener: socket.socket | None = None
        self._channel: Channel | None = None
        self._lock = threading.Lock()

    def connect(self) -> socket.socket:
        """The listening socket, as soon as there is one."""
        pause, told = FIRST_PAUSE, False
        while True:
            listener = self._try_to_connect()
            if listener is not None:
                self._listener = self._listener or listener
                return listener
            if not told and pause == LAST_PAUSE:
                told = True
                self._log.write(f"waiting for the process that owns the port, at {self._path}", level="warning")
            time.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE)

    def watch(self, on_listener: Callable[[socket.socket], None]) -> None:
        """Calls `on_listener`, in a thread, with each new socket after the first."""

        def run() -> None:
            while True:
                channel = self._channel
                assert channel is not None
                with contextlib.suppress(ValueError):
                    while channel.receive() is not None:
                        pass
                channel.close()
                self._log.write("the process that owns the port has ended", level="warning")
                listener = self.connect()
                if self._is_current(listener):
                    listener.close()
                else:
                    on_listener(listener)
                self._log.write("the port has a new owner")

        threading.Thread(target=run, daemon=True, name="listener").start()

    def tell_serving(self, serving: bool) -> None:
        """Tells the listener whether this supervisor accepts connections."""
        with self._lock:
            self._serving = serving
            self._send()

    def _is_current(self, listener: socket.socket) -> bool:
        assert self._listener is not None
        return os.path.sameopenfile(listener.fileno(), self._listener.fileno())

    def _send(self) -> None:
        if self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.send({"op": "serving", "value": self._serving})

    def _try_to_connect(self) -> socket.socket | None:
        try:
            connection = unix_socket.connect(self._path, CONNECT_TIMEOUT)
        except OSError:
            return None
        channel = Channel(connection)
        try:
            received = channel.receive()
            if received is not None and received[0].get("event") == "ask":
                if self._listener is not None:
                    channel.send({"op": "listener"}, [self._listener.fileno()])
                received = channel.receive()
        except (OSError, ValueError):
            received = None
        fds = received[1] if received is not None else []
        if not fds:
            channel.close()
            return None
        connection.settimeout(None)
        with self._lock:
            self._channel = channel
            if self._serving:
                self._send()
        listener = socket.socket(fileno=fds[0])
        listener.setblocking(False)
        return listener
