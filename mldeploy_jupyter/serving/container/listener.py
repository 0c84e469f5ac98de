"""The process that owns the port of a service whose containers come and go.

It listens, and hands the listening socket to every supervisor that connects to `listener.sock`, as a descriptor. So a
new container accepts on the same socket as the previous one, while connections wait in the kernel's queue. It
accepts connections itself only to answer 503 after some seconds without a supervisor that serves.

When it is killed, its supervisors keep serving. In a new network, as after a restart of its container, the next
listener opens a new socket; where the old socket still exists, it takes that back from a supervisor.

Messages (`ipc/channel.py`): `{"event": "listener", "answers": true}` with the socket, where it is missing first
`{"event": "ask"}`; from the supervisor `{"op": "listener"}` with the socket, and `{"op": "serving", "value":
true|false, "id": n}`, answered with `{"event": "answer", "id": n}` once the listener accepts no connection itself. The
end of the connection tells each side that the other has ended.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from ..ipc.channel import Channel
from ..log.entry import format_line
from ..supervisor.unavailable import UnavailableResponder
from ..system import unix_socket
from ..system.listening_socket import open_listener
from .configuration import (
    EXIT_PORT_IN_USE,
    EXIT_WRONG_CONFIGURATION,
    ConfigurationError,
    listen_address,
    listener_path,
)

PATIENCE = 2.0  # seconds without a supervisor that serves before clients get 503 instead of waiting

TAKEN_WAIT = 5.0  # seconds for the previous listener to end

Result = TypeVar("Result")


class Listener:
    """Hands `listener` to supervisors that connect to `sock`. `run` does so until `stop` is called.

    Without a `listener`, it asks them for one that listens on `port`.
    """

    def __init__(
        self, listener: socket.socket | None, sock: socket.socket, port: int = 0, patience: float = PATIENCE
    ) -> None:
        self.listener = listener
        self._port = port
        self._socket = sock
        self._patience = patience
        self._clients: dict[int, Channel] = {}
        self._serving: set[int] = set()  # descriptors of the connections to supervisors that serve
        self._answers: list[tuple[Channel, int]] = []  # to messages that have been read
        self._unserved_since = time.monotonic()
        self._unavailable: UnavailableResponder | None = None  # while it answers
        self._stop_read, self._stop_write = socket.socketpair()
        self._poll = select.poll()
        for reader in (sock, self._stop_read):
            self._poll.register(reader, select.POLLIN)

    def run(self, seconds: float | None = None) -> None:
        """Returns after `stop`, and after `seconds` if it has no listener then."""
        deadline = time.monotonic() + seconds if seconds is not None else None
        while deadline is None or self.listener is not None or time.monotonic() < deadline:
            for fd, _ in self._poll.poll(self._next_wait()):
                if fd == self._stop_read.fileno():
                    return
                if fd == self._socket.fileno():
                    self._greet()
                else:
                    self._read(fd)
            self._answer_or_pause()
            self._send_answers()

    def stop(self) -> None:
        self._stop_write.send(b"stop")

    def close(self) -> None:
        """Ends all connections, after `run` has returned."""
        for channel in self._clients.values():
            channel.close()
        for sock in (self._socket, self._stop_read, self._stop_write):
            sock.close()

    def _next_wait(self) -> float | None:
        """Milliseconds until clients are answered with 503; None when no time-out is due."""
        if self.listener is None:
            return 100
        if self._serving or self._unavailable is not None:
            return None
        return max(0.0, self._unserved_since + self._patience - time.monotonic()) * 1000 + 1

    def _answer_or_pause(self) -> None:
        if self._serving and self._unavailable is not None:
            self._unavailable.end()
            self._unavailable = None
        waited = time.monotonic() - self._unserved_since
        if self.listener and not self._serving and self._unavailable is None and waited >= self._patience:
            self._unavailable = UnavailableResponder()
            self._unavailable.answer_on(self.listener)

    def _send_answers(self) -> None:
        answers, self._answers = self._answers, []
        for channel, number in answers:
            with contextlib.suppress(OSError):  # it has gone
                channel.send({"event": "answer", "id": number})

    def _greet(self) -> None:
        try:
            channel = Channel(self._socket.accept()[0])
        except OSError:  # too many open files, or the client has gone
            return
        self._send(channel)
        self._clients[channel.fileno()] = channel
        self._poll.register(channel.fileno(), select.POLLIN)

    def _send(self, channel: Channel) -> None:
        with contextlib.suppress(OSError):  # it has gone, which is read next
            if self.listener is None:
                channel.send({"event": "ask"})
            else:
                channel.send({"event": "listener", "answers": True}, [self.listener.fileno()])

    def _take(self, sock: socket.socket) -> None:
        """Takes a socket that a supervisor has, if it is the one that is missing."""
        listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if self.listener is not None or not listens or sock.getsockname()[1] != self._port:
            sock.close()
            return
        self.listener = sock
        self._unserved_since = time.monotonic()  # the supervisor says next whether it serves
        for channel in self._clients.values():
            self._send(channel)

    def _read(self, fd: int) -> None:
        channel, served = self._clients[fd], bool(self._serving)
        while self._handle(channel) and channel.has_message:
            pass
        if served and not self._serving:
            self._unserved_since = time.monotonic()

    def _handle(self, channel: Channel) -> bool:
        """Reads one message; returns False when the connection has ended."""
        fd = channel.fileno()
        try:
            received = channel.receive()
        except ValueError:
            received = None
        if received is None:
            del self._clients[fd]
            self._poll.unregister(fd)
            channel.close()
            self._serving.discard(fd)
            return False
        message, fds = received
        if message.get("op") == "listener" and fds:
            self._take(socket.socket(fileno=fds[0]))
        elif message.get("op") == "serving":
            (self._serving.add if message.get("value") else self._serving.discard)(fd)
            if isinstance(number := message.get("id"), int):  # an earlier version sends none
                self._answers.append((channel, number))
        return True


def serve(environ: Mapping[str, str] = os.environ) -> int:
    """Listens until SIGTERM or SIGINT; returns the exit code."""
    try:
        host, port = listen_address(environ)
        path = listener_path(environ)
        if path is None:
            raise ConfigurationError("MLDEPLOY_LISTENER names no socket", "set it to a path in the service's volume")
    except ConfigurationError as error:
        return _report(EXIT_WRONG_CONFIGURATION, str(error), error.hint)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_name("listener.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _retry(lambda: fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB))
        sock = unix_socket.listen(path)
        try:
            listener = open_listener(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            listener = None
    except OSError as error:
        hint = f"give the service a volume that this user may write to, mounted above {path.parent}, and free the port"
        return _report(EXIT_PORT_IN_USE, f"{host}:{port} or {path}: {error}", hint)
    process = Listener(listener, sock, port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: process.stop())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps what `docker exec` leaves behind
    _log(f"listening on {host}:{port} for supervisors that connect to {path}")
    process.run(None if listener else TAKEN_WAIT)
    process.close()
    path.unlink(missing_ok=True)
    if process.listener is None:
        hint = "free the port, or choose another one in MLDEPLOY_LISTEN"
        return _report(EXIT_PORT_IN_USE, f"port {port} is in use, and no supervisor of this service has it", hint)
    _log("stopped")
    return 0


def _retry(task: Callable[[], Result]) -> Result:
    """Repeats `task` while it raises `OSError`: the listener before this one may be about to end."""
    deadline = time.monotonic() + TAKEN_WAIT
    while True:
        try:
            return task()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _report(code: int, cause: str, hint: str) -> int:
    print(f"error: the service cannot be listened for\ncause: {cause}\nhint: {hint}", file=sys.stderr, flush=True)
    return code


def _log(text: str) -> None:
    os.write(sys.stdout.fileno(), format_line(text, logger="listener", pid=os.getpid()))
