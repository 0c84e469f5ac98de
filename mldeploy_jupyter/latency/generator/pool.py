"""The connections of one service, and the requests that wait for one.

A connection is used by the request that has waited longest, whoever it was opened for. Before the key is first sent,
and again when the service may have gone away, the parent is asked for it over a connection that is open: it proves that
the service still listens there, and another program that took its port gets nothing.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from time import monotonic
from urllib.parse import urlsplit

from mldeploy_jupyter.latency.generator.connection import Answer, Connection, Request
from mldeploy_jupyter.latency.generator.transport import open_connection
from mldeploy_jupyter.latency.payloads import Payload
from mldeploy_jupyter.latency.recording import Outcome

# Called with each request that has ended: the pool, the request, its answer, and when it ended.
Ended = Callable[["Pool", Request, Answer, float], None]


class Pool:
    """`ask_key` asks the parent, who answers with `use_key` or `refuse`. `ended` is called once for each request.

    `cannot_connect` gets the index and the reason each time that no connection could be opened.
    """

    def __init__(
        self,
        index: int,
        payloads: list[Payload],
        limit: int,
        timeout: float,
        *,
        ask_key: Callable[[int], None],
        cannot_connect: Callable[[int, str], None],
        ended: Ended,
    ) -> None:
        self.index = index
        self.limit = limit  # connections at most
        self._timeout = timeout  # seconds
        self._payloads = payloads
        self._ask_key, self._cannot_connect, self._ended = ask_key, cannot_connect, ended
        self._loop = asyncio.get_running_loop()

        self.uri = ""
        self._address: tuple[str, int] = ("", 0)
        self._tls: ssl.SSLContext | None = None
        self._messages: list[bytes] = []
        self._next = 0  # number of the message that is sent next
        self.sent = 0  # requests whose bytes were written
        self.key = 0  # counts the keys that the parent has given

        self._idle: list[Connection] = []  # the one that was used last is used next
        self._connections: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._unproven: list[Connection] = []  # open, and nothing is sent until the parent has answered
        self._proven = False
        self._asked = False
        self._waiting: deque[Request] = deque()
        self._prepared: asyncio.Future[None] | None = None

    # -- what the load does ---------------------------------------------------------------------------

    def locate(self, uri: str) -> None:
        """Sets where the service is. Connections to another address are closed."""
        if uri == self.uri:
            return
        parts = urlsplit(uri)
        self.uri = uri
        self._tls = (self._tls or ssl.create_default_context()) if parts.scheme == "https" else None
        self._address = (parts.hostname or "", parts.port or (443 if self._tls else 80))
        for connection in [*self._connections]:
            if connection.request is None:
                connection.close()
            connection.last = True
        self._idle.clear()
        self._unproven.clear()

    def send(self, request: Request) -> None:
        """Sends it at once where a connection is free, else as soon as one is."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.closing:
                self._send(connection, request)
                return
        self._waiting.append(request)
        self._open_more()

    async def prepare(self) -> None:
        """Returns when a connection is open and proven, or cannot be: so that no request has to wait for that."""
        if self._proven and self._connections:
            return
        self._prepared = self._loop.create_future()
        self._open_more(spare=1)
        try:
            async with asyncio.timeout(self._timeout):
                await self._prepared
        except TimeoutError:
            pass
        finally:
            self._prepared = None

    def use_key(self, key: str, uri: str) -> bool:
        """What the parent answered; the service is proven now. Returns whether it is another key than before."""
        self._asked, self._proven = False, True
        self.locate(uri)
        parts = urlsplit(uri)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        authorization = f"authorization: Bearer {key}\r\n" if key else ""
        head = f"POST {target} HTTP/1.1\r\nhost: {parts.netloc.rpartition('@')[2]}\r\n{authorization}"
        messages = [payload.message(head) for payload in self._payloads]
        changed = messages != self._messages
        self._messages = messages
        self.key += changed
        held, self._unproven = self._unproven, []
        for connection in held:
            if not connection.closing:
                self._release(connection)
        self._settle()
        self._open_more()
        return changed

    def refuse(self) -> None:
        """The parent says that the service is not there: nothing is sent, and what waits has failed."""
        self._asked = False
        held, self._unproven = self._unproven, []
        for connection in held:
            connection.close()
        self._fail_waiting(len(self._waiting))
        self._settle()

    def renew_key(self) -> None:
        """Asks the parent for the key, while requests continue with the old one."""
        if not self._asked:
            self._asked = True
            self._ask_key(self.index)

    def expire(self, request: Request, deadline: float) -> None:
        """Ends a request whose time is up."""
        connection = request.connection
        outcome = Outcome.TIMEOUT
        if connection is not None:
            connection.close()
        else:
            self._waiting.remove(request)
            if self._open >= self.limit:
                outcome = Outcome.DROPPED
        self._ended(self, request, Answer(0, outcome), deadline)

    def close(self) -> None:
        """Closes everything. Requests under way are the caller's to record."""
        self._waiting.clear()
        for task in self._opening:
            task.cancel()
        for connection in [*self._connections]:
            connection.close()

    # -- what connections tell ------------------------------------------------------------------------

    def answered(self, connection: Connection, request: Request, answer: Answer, done: float) -> None:
        if connection.last:
            connection.close()
        elif not connection.closing:
            self._release(connection)
        self._ended(self, request, answer, done)

    def failed(self, connection: Connection, request: Request, outcome: Outcome, done: float) -> None:
        if outcome is Outcome.NO_CONNECTION:
            self._proven = False
        self._ended(self, request, Answer(0, outcome), done)

    def lost(self, connection: Connection, expected: bool) -> None:
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if connection in self._unproven:
            self._unproven.remove(connection)
            if not expected:  # whoever closes a connection before anything was sent will close the next one, too
                self._fail_waiting(1)
        if not expected and not self._connections:
            self._proven = False
        self._open_more()

    # -- connections ----------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether there is any connection."""
        return bool(self._connections)

    @property
    def _open(self) -> int:
        return len(self._connections)

    def _release(self, connection: Connection) -> None:
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _send(self, connection: Connection, request: Request) -> None:
        at = self._next
        self._next = at + 1 if at + 1 < len(self._messages) else 0
        request.key = self.key
        self.sent += 1
        connection.send(request, self._messages[at])

    def _open_more(self, spare: int = 0) -> None:
        """Opens as many connections as requests wait for, or `spare`."""
        wanted = max(len(self._waiting), spare) - len(self._opening) - len(self._unproven)
        for _ in range(min(wanted, self.limit - len(self._opening) - self._open)):
            self._opening.add(self._loop.create_task(self._open_one()))

    async def _open_one(self) -> None:
        begin = monotonic()
        address, tls = self._address, self._tls
        try:
            async with asyncio.timeout(self._timeout):
                connection = Connection(self)
                await open_connection(self._loop, *address, tls, connection)
        except (OSError, TimeoutError) as error:
            self._proven = False
            self._opened()
            self._cannot_connect(self.index, describe_failure(error))
            self._fail_waiting(1)
            self._settle()
            self._open_more()
            return
        self._opened()
        self._connections.add(connection)
        if address != self._address:
            connection.close()
            return
        connection.seconds = monotonic() - begin
        if not self._proven:
            self._unproven.append(connection)
            self.renew_key()
            return
        self._release(connection)
        self._settle()

    def _opened(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._opening.discard(task)

    def _fail_waiting(self, count: int) -> None:
        for _ in range(min(count, len(self._waiting))):
            self._ended(self, self._waiting.popleft(), Answer(0, Outcome.NO_CONNECTION), monotonic())

    def _settle(self) -> None:
        if self._prepared is not None and not self._prepared.done():
            self._prepared.set_result(None)


def describe_failure(error: OSError) -> str:
    """Why there is no connection: `connection refused`, without the number that a system has for it."""
    if isinstance(error, TimeoutError) and not error.strerror:
        return "no connection in time"
    return (error.strerror or str(error) or type(error).__name__).lower()
