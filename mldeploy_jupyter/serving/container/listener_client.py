"""A supervisor's connection to the process that owns its port (`listener.py`)."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..ipc.channel import Channel
from ..log.service_log import ServiceLog
from ..system import unix_socket

FIRST_PAUSE, LAST_PAUSE = 0.02, 0.5  # seconds between two attempts to connect

CONNECT_TIMEOUT = 2.0  # seconds for the listener to send its socket

ANSWER_WAIT = 10.0  # seconds for the listener to take note of who serves; it needs that long on a very busy machine


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
        self._answers = False  # whether the listener answers; one of an earlier version does not
        self._numbers = itertools.count(1)
        self._unanswered: dict[int, threading.Event] = {}
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
                    while (received := channel.receive()) is not None:
                        self._take_answer(received[0])
                channel.close()
                self._give_up_answers()
                self._log.write("the process that owns the port has ended", level="warning")
                listener = self.connect()
                if self._is_current(listener):
                    listener.close()
                else:
                    on_listener(listener)
                self._log.write("the port has a new owner")

        threading.Thread(target=run, daemon=True, name="listener").start()

    def tell_serving(self, serving: bool) -> None:
        """Tells the listener whether this supervisor accepts connections. Call it after `watch`.

        When this returns, the listener knows, unless it has ended, is of an earlier version, or is silent for too long.
        """
        answered = threading.Event()
        with self._lock:
            self._serving = serving
            number = next(self._numbers)
            self._unanswered[number] = answered
            awaited = self._send(number) and self._answers
        if awaited and not answered.wait(ANSWER_WAIT):
            self._log.write("the process that owns the port does not answer", level="warning")
        self._unanswered.pop(number, None)

    def _is_current(self, listener: socket.socket) -> bool:
        assert self._listener is not None
        return os.path.sameopenfile(listener.fileno(), self._listener.fileno())

    def _read_answer(self, channel: Channel, number: int) -> None:
        """Waits for an answer where no thread reads the channel yet."""
        with contextlib.suppress(ValueError):
            while channel.wait(ANSWER_WAIT) and (received := channel.receive()) is not None:
                self._take_answer(received[0])
                if received[0].get("id") == number:
                    return

    def _take_answer(self, message: dict[str, Any]) -> None:
        answered = self._unanswered.pop(message.get("id", 0), None)
        if answered is not None:
            answered.set()

    def _give_up_answers(self) -> None:
        with self._lock:
            self._channel = None
            unanswered, self._unanswered = self._unanswered, {}
        for answered in unanswered.values():
            answered.set()

    def _send(self, number: int) -> bool:
        """Whether the listener gets the message."""
        if self._channel is None:
            return False
        try:
            self._channel.send({"op": "serving", "value": self._serving, "id": number})
        except OSError:
            return False
        return True

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
            self._answers = bool(received and received[0].get("answers"))
            number = next(self._numbers)
            awaited = self._serving and self._send(number) and self._answers
        if awaited:
            self._read_answer(channel, number)
        listener = socket.socket(fileno=fds[0])
        listener.setblocking(False)
        return listener
