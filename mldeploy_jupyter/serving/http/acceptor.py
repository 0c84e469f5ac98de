"""A worker's connections: accepted on a socket that other processes share, limited, and passed on.

When a worker is replaced, a keep-alive connection must neither be closed in the client's face nor go on
being answered by the old code. So the old worker gives the open socket away, between two requests: the
client sees one connection that never stopped.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from .connection import FLUSH_LOOK, Connection

if TYPE_CHECKING:
    from ..worker.app import App


ACCEPT_AT_ONCE = 100  # connections taken in one turn of the loop

ACCEPT_PAUSE = 0.1  # seconds without accepting when the process is out of descriptors

RESERVED = 128  # descriptors that are left to the script

SWEEP = 1.0  # seconds between two looks at the deadlines


class Acceptor:
    """All connections of a worker. Everything but the constructor runs on the loop's thread."""

    def __init__(self, app: App, listener: socket.socket, pass_on: Callable[[int], Any]) -> None:
        self.app = app
        self.loop: asyncio.AbstractEventLoop = cast(Any, None)
        self.pass_on = pass_on
        self.leaving = False  # no new connections; those that are here go
        self.closing = False  # ... and are closed, because nobody takes them
        self.empty = asyncio.Event()
        self.connections: dict[Connection, None] = {}
        self.buffered = 0  # bytes of bodies that are kept
        self.most = _raise_limit() - RESERVED
        self._listener = listener
        self._accepting = False
        self._sweeping = False
        self._attaching: set[asyncio.Task[Any]] = set()

    def accept(self) -> None:
        if not self._accepting and not self.leaving:
            self._accepting = True
            self.loop.add_reader(self._listener.fileno(), self._on_readable)

    def pause(self) -> None:
        """Accepts nobody until `accept`; who is connected already is served on."""
        if self._accepting:
            self._accepting = False
            self.loop.remove_reader(self._listener.fileno())

    def adopt(self, sock: socket.socket, private: bool = False) -> None:
        """Serves a connection that was accepted elsewhere."""
        sock.setblocking(False)
        task = self.loop.create_task(self._attach(sock, private))
        self._attaching.add(task)
        task.add_done_callback(self._attached)

    async def leave(self, closing: bool) -> None:
        """Stops accepting; returns when every connection without a request is passed on (or closed)."""
        self.leaving = True
        self.closing = self.closing or closing
        self.pause()
        while self._attaching:
            await asyncio.wait(self._attaching)
        for connection in list(self.connections):
            connection.leave()
        while any(
            not c.busy and not c.gone and not c.ending and not c.transport.is_closing() for c in self.connections
        ):
            await asyncio.sleep(FLUSH_LOOK)
        self.check_empty()

    def _attached(self, task: asyncio.Task[Any]) -> None:
        self._attaching.discard(task)
        self.check_empty()  # it may have left before this is known

    def opened(self, connection: Connection) -> None:
        self.connections[connection] = None
        self.app.connected(len(self.connections))
        if not self._sweeping:
            self._sweeping = True
            self.loop.call_later(SWEEP, self._sweep)

    def closed(self, connection: Connection) -> None:
        self.connections.pop(connection, None)
        self.app.connected(len(self.connections))
        self.check_empty()

    def check_empty(self) -> None:
        if self.leaving and not self.connections and not self._attaching:
            self.empty.set()

    def _sweep(self) -> None:
        now = perf_counter()
        for connection in list(self.connections):
            connection.overdue(now)
        self._sweeping = bool(self.connections)
        if self._sweeping:
            self.loop.call_later(SWEEP, self._sweep)

    def _on_readable(self) -> None:
        if len(self.connections) + len(self._attaching) + ACCEPT_AT_ONCE > self.most:
            self._make_room()
        for _ in range(ACCEPT_AT_ONCE):
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return  # another worker was quicker, or the client left
            except OSError:
                # Out of descriptors: the connection waits in the queue, and we do not spin on it.
                self._make_room()
                self.loop.remove_reader(self._listener.fileno())
                self.loop.call_later(ACCEPT_PAUSE, self._accept_again)
                return
            self.adopt(sock)

    def _make_room(self) -> None:
        """Ends those that have been idle longest: whoever comes now wants something."""
        idle = sorted((c for c in self.connections if not c.busy), key=lambda c: c.since)
        for connection in idle[: max(ACCEPT_AT_ONCE, len(idle) // 20)]:
            connection.evict()

    def _accept_again(self) -> None:
        if self._accepting:
            self.loop.add_reader(self._listener.fileno(), self._on_readable)

    async def _attach(self, sock: socket.socket, private: bool) -> None:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self.loop.connect_accepted_socket(lambda: Connection(self, private), sock)
        except OSError:
            sock.close()


def _raise_limit() -> int:
    """As many descriptors as this process may have."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):
            pass
    return 65536 if soft == resource.RLIM_INFINITY else soft
