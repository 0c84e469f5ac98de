"""One HTTP request, and the connection that its answer goes to."""

from __future__ import annotations

from typing import Any, Protocol

from ..scoring.messages import Request, Response
from .body import LongBody, Pieces


class Sender(Protocol):
    """A connection, as the application sees it. `private`: the supervisor's own, which needs no key."""

    private: bool
    peer: str | None
    direct_fd: int

    def send(self, exchange: Exchange, head: bytes, body: bytes) -> None: ...

    def send_direct(self, exchange: Exchange, answer: bytes) -> None: ...


class Exchange(Request):
    """A request as it comes over HTTP.

    `admitted`: headers accepted; `complete`: body received; `handled`: given to the application.

    `early_response` is chosen from the headers alone, before the body. `id_headers` tell the client the request's id,
    and `quoted_id` is the id as JSON, for the log.
    Most requests leave most attributes at their defaults, so the defaults are the class's.
    """

    target = id_headers = b""
    quoted_id = b'""'
    head = b""  # its bytes, if the cache may learn them
    received: LongBody | Pieces | None = None  # the body while it arrives, once there is any of it
    length = -1  # of the body, in bytes; -1: none, or it comes in chunks
    method = path = ""
    body_size = 0  # bytes of the body received so far
    buffered = 0  # bytes of the body that count against the acceptor's limit
    close = complete = expects_continue = http10 = handled = False
    unparsed = False  # the parser does not see its body
    known = False  # its head came from the cache, and not for the first time on this connection
    early_response: Response | None = None
    scoreboard_index = -2  # where the scoreboard has the id: -1 nowhere (it was full), -2 not in flight
    job: Any = None  # the application's

    def __init__(self, connection: Sender, started: float, headers: dict[str, str] | None = None) -> None:
        self.connection = connection
        self.started = started  # perf_counter at its first byte
        self.admitted = headers is not None  # on the instance: read once per header, and class lookup is slower
        # Names are in lower case. Headers from the cache are shared, and must not be modified.
        self.headers: dict[str, str] = {} if headers is None else headers


class KnownExchange(Exchange):
    """A whole request whose head came from the cache."""

    target = b"/score"
    method, path = "POST", "/score"
    admitted = complete = handled = True

    def __init__(self, connection: Sender, started: float, headers: dict[str, str], body: bytes) -> None:
        self.connection = connection
        self.remote_addr = connection.peer
        self.started = started
        self.headers = headers
        self.body = body
        self.body_size = self.buffered = len(body)
