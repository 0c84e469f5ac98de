"""A worker's connections: accepted on a socket shared with other processes, limited in number, and handed over.

The kernel wakes every worker for a new connection, and the first one gets it. So a worker that is busy looks away for a
moment while another one can answer sooner (`Application.leaves_connection`).

When a worker is replaced, its keep-alive connections must neither be closed in the client's face nor keep being
answered by the old code. So the old worker hands over the open socket between two requests: the client sees one
connection that never stopped.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections.abc import Callable
from time import perf_counter
from typing import Any

from .application import Application
from .connection import FLUSH_INTERVAL, Connection

# Connections accepted in one turn of the loop by a service's only worker. Several workers take one at a time, so that
# the next goes to one that is free then.
ACCEPT_BATCH = 100

ACCEPT_PAUSE = 0.1  # seconds without accepting when the process is out of file descriptors

LOOK_INTERVAL = 0.002  # seconds between two looks at connections that are left to other workers

RESERVED_FDS = 128  # file descriptors left to the script

DEADLINE_INTERVAL = 1.0  # seconds between two checks of all connections' deadlines


class Acceptor:
    """All connections of a worker. Everything but the constructor runs on the loop's thread.

    `hand_over(fd)` sends the socket of an idle connection to another worker.
    """

    def __init__(
        self,
        app: Application,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        hand_over: Callable[[int], Any],
    ) -> None:
        self.app = app
        self.loop = loop
        self.hand_over = hand_over
        self.draining = False  # accepts no connections, and hands over those that it has
        self.closing = False  # closes them instead: no other worker takes them
        self.drained = asyncio.Event()
        self.connections: dict[Connection, None] = {}
        self.buffered = 0  # bytes of request bodies in memory
        self.max_connections = _raise_fd_limit() - RESERVED_FDS
        self._listener = listener
        self._accepting = False
        self._left_since = 0.0  # when the connections that wait were first left to other workers, 0 if none are
        self._checking_deadlines = False
        self._attaching: set[asyncio.Task[Any]] = set()

    def accept(self) -> None:
        """Starts accepting connections, unless it is draining."""
        if not self._accepting and not self.draining:
            self._accepting = True
            self.app.record_accepting(True)
            self.loop.add_reader(self._listener.fileno(), self._on_readable)

    def pause(self) -> None:
        """Stops accepting until `accept`. Open connections are still served."""
        if self._accepting:
            self._accepting = False
            self.app.record_accepting(False)
            self.loop.remove_reader(self._listener.fileno())

    def listen_on(self, listener: socket.socket) -> None:
        """Accepts on another socket from now on, because nothing arrives on the one before. Closes `listener`.

        The descriptor of the socket before comes to mean the new one.
        """
        accepting = self._accepting
        self.pause()
        os.dup2(listener.fileno(), self._listener.fileno(), inheritable=False)
        listener.close()
        if accepting:
            self.accept()

    def adopt(self, sock: socket.socket, private: bool = False) -> None:
        """Serves a connection that was accepted elsewhere."""
        sock.setblocking(False)
        task = self.loop.create_task(self._attach(sock, private))
        self._attaching.add(task)
        task.add_done_callback(self._attached)

    async def drain(self, closing: bool) -> None:
        """Stops accepting. Returns once every connection without a request is handed over, or closed if `closing`.

        `drained` is set when no connection is left.
        """
        self.draining = True
        self.closing = self.closing or closing
        self.pause()
        self.app.direct.stop(for_good=True)
        while self._attaching:
            await asyncio.wait(self._attaching)
        for connection in list(self.connections):
            connection.release()
        while any(connection.idle for connection in self.connections):  # its last answer is still being written
            await asyncio.sleep(FLUSH_INTERVAL)
        self._check_drained()

    def connection_opened(self, connection: Connection) -> None:
        self.connections[connection] = None
        self.app.record_connections(len(self.connections))
        if not self._checking_deadlines:
            self._checking_deadlines = True
            self.loop.call_later(DEADLINE_INTERVAL, self._check_deadlines)

    def connection_closed(self, connection: Connection) -> None:
        self.connections.pop(connection, None)
        self.app.record_connections(len(self.connections))
        self._check_drained()

    def _check_drained(self) -> None:
        if self.draining and not self.connections and not self._attaching:
            self.drained.set()

    def _check_deadlines(self) -> None:
        now = perf_counter()
        with self.app.direct.lock:
            for connection in list(self.connections):
                connection.check_deadlines(now)
        self._checking_deadlines = bool(self.connections)
        if self._checking_deadlines:
            self.loop.call_later(DEADLINE_INTERVAL, self._check_deadlines)

    def _on_readable(self) -> None:
        if self._leave_to_others():
            return
        if len(self.connections) + len(self._attaching) + ACCEPT_BATCH > self.max_connections:
            self._evict_idle()
        for _ in range(ACCEPT_BATCH if self.app.settings.workers == 1 else 1):
            if self.app.is_paused():
                self.pause()
                return
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return  # another worker took it, or the client left
            except OSError:
                # Out of file descriptors: leave the connection in the backlog, and do not spin on it.
                self._evict_idle()
                self.loop.remove_reader(self._listener.fileno())
                self.loop.call_later(ACCEPT_PAUSE, self._resume_accepting)
                return
            self.app.record_accepted()
            self.adopt(sock)

    def _leave_to_others(self) -> bool:
        """Whether the connections that wait are left to other workers, and looked at again in `LOOK_INTERVAL`."""
        now = perf_counter()
        began = self._left_since or now
        with self.app.direct.lock:
            leaves = self.app.leaves_connection(now - began)
        if not leaves:
            self._left_since = 0.0
            return False
        self._left_since = began
        self.loop.remove_reader(self._listener.fileno())
        self.loop.call_later(LOOK_INTERVAL, self._look_again)
        return True

    def _look_again(self) -> None:
        backlog = select.poll()
        backlog.register(self._listener, select.POLLIN)
        if not backlog.poll(0):  # others took them
            self._left_since = 0.0
            self.app.record_taken()
        self._resume_accepting()

    def _evict_idle(self) -> None:
        """Closes the connections that have been idle longest, to make room for new ones."""
        with self.app.direct.lock:
            idle = sorted((c for c in self.connections if not c.busy), key=lambda c: c.waiting_since)
            for connection in idle[: max(ACCEPT_BATCH, len(idle) // 20)]:
                connection.evict()

    def _resume_accepting(self) -> None:
        if self._accepting:
            self.loop.add_reader(self._listener.fileno(), self._on_readable)

    async def _attach(self, sock: socket.socket, private: bool) -> None:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self.loop.connect_accepted_socket(lambda: Connection(self, private), sock)
        except OSError:
            sock.close()

    def _attached(self, task: asyncio.Task[Any]) -> None:
        self._attaching.discard(task)
        self._check_drained()  # the connection may have closed before its task ended


def _raise_fd_limit() -> int:
    """Raises the soft limit of file descriptors to the hard one, at most 65,536. Returns the limit that holds."""
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
