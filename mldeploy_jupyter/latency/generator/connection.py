"""One HTTP/1.1 connection with at most one request under way: writes it, and reads from the answer what is recorded."""

from __future__ import annotations

import asyncio
import math
import re
from time import monotonic
from typing import Any, Protocol, cast

import httptools

from mldeploy_jupyter.latency.generator.transport import Receiver
from mldeploy_jupyter.latency.recording import Outcome

_DURATIONS = re.compile(rb"([a-z]+)\s*;\s*dur\s*=\s*([0-9.]+)", re.IGNORECASE)

_OUTCOMES = {401: Outcome.UNAUTHORISED, 403: Outcome.UNAUTHORISED, 429: Outcome.THROTTLED}

NAN = math.nan


class Request:
    """One request of the run. Times are those of the monotonic clock, in seconds; nan what has not happened."""

    __slots__ = (
        "begun", "block", "connect", "connection", "key", "lag", "phase", "planned", "sent", "service", "step",
    )  # fmt: skip

    def __init__(self, planned: float, begun: float, service: int, phase: int, block: int, step: int) -> None:
        self.planned, self.begun, self.sent = planned, begun, NAN
        self.service, self.phase, self.block, self.step = service, phase, block, step
        self.lag = begun - planned
        self.connect = NAN  # seconds that the connection took which was opened for it
        self.connection: Connection | None = None
        self.key = 0  # the number of the key that it was sent with


class Answer:
    """What is recorded of an answer. Durations are in milliseconds, nan when absent."""

    __slots__ = ("outcome", "parse", "queue", "revision", "run", "serialise", "status")

    def __init__(self, status: int, outcome: Outcome, revision: int = 0, timing: bytes = b"") -> None:
        self.status, self.outcome, self.revision = status, outcome, revision
        self.queue = self.parse = self.run = self.serialise = NAN
        if timing:
            for name, value in _DURATIONS.findall(timing):
                if name in _PARTS:
                    try:
                        setattr(self, _PARTS[name], float(value))
                    except ValueError:  # "1.2.3"
                        pass


_PARTS = {name.encode(): name for name in ("queue", "parse", "run", "serialise")}


class Owner(Protocol):
    """The pool of a service, as its connections know it."""

    def answered(self, connection: Connection, request: Request, answer: Answer, done: float) -> None:
        """The connection is free again, if it is not `closing`."""

    def failed(self, connection: Connection, request: Request, outcome: Outcome, done: float) -> None: ...

    def lost(self, connection: Connection, expected: bool) -> None:
        """The connection is closed. `expected` when an answer had announced it, or this side closed it."""


class Connection(Receiver):
    """Sends with `send`; the owner hears of the end of each request once."""

    __slots__ = (
        "_arrived", "_eof_ends", "_length", "_owner", "_parser", "_retry", "_revision", "_timing", "closing", "last",
        "request", "seconds", "transport",
    )  # fmt: skip

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.transport = cast(asyncio.Transport, None)
        self.request: Request | None = None
        self._timing = b""
        self._arrived = NAN  # when its last bytes did
        self.closing = False
        self.last = False  # whether it is closed after the request that is under way: the service has moved
        self.seconds = NAN  # that it took to open; nan once a request was sent
        self._parser: Any = httptools.HttpResponseParser(self)
        self._begin_answer()

    def send(self, request: Request, message: bytes) -> None:
        self.request = request
        request.connection = self
        request.connect, self.seconds = self.seconds, NAN
        request.sent = monotonic()
        self.transport.write(message)

    def close(self) -> None:
        """Closes at once. A request that is under way has been dealt with before."""
        self.closing, self.request = True, None
        if self.transport is not None:
            self.transport.abort()

    # -- calls of the transport -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def receive(self, data: bytes | memoryview, arrived: float) -> None:
        if self.closing:
            return
        if self.request is None:  # an answer that nobody asked for
            self.close()
            return
        self._arrived = arrived if arrived >= self.request.sent else monotonic()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(Outcome.BROKEN_ANSWER)
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        expected, self.closing = self.closing, True
        if self.request is not None:
            if error is None and self._eof_ends and self._parser.get_status_code() >= 200:
                self._complete(monotonic())
                expected = True
            else:
                self._fail(Outcome.NO_CONNECTION)
        self._parser = None  # it and this object know each other: both are freed at once
        self._owner.lost(self, expected)

    # -- calls of the parser --------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"server-timing":
            self._timing = self._timing + b"," + value if self._timing else value
        elif name == b"x-mldeploy-revision":
            digits = value.partition(b"-")[0]
            self._revision = min(int(digits), 65535) if digits.isdigit() else 0
        elif name == b"retry-after":
            self._retry = True
        elif name in (b"content-length", b"transfer-encoding"):
            self._length = True

    def on_headers_complete(self) -> None:
        self._eof_ends = not self._length

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:  # 100 Continue, 103 Early Hints
            self._begin_answer()
            return
        self.closing = self.closing or not self._parser.should_keep_alive()
        self._complete(self._arrived)

    def _complete(self, done: float) -> None:
        request, self.request = self.request, None
        if request is None:
            return
        status = self._parser.get_status_code()
        if 200 <= status < 300:
            outcome = Outcome.OK
        elif status < 400:
            outcome = Outcome.BROKEN_ANSWER
        elif status == 503 and self._retry:
            outcome = Outcome.UNAVAILABLE
        else:
            outcome = _OUTCOMES.get(status) or (Outcome.CLIENT_ERROR if status < 500 else Outcome.SERVER_ERROR)
        answer = Answer(status, outcome, self._revision, self._timing)
        if self.closing:
            self.transport.close()
        self._begin_answer()
        self._owner.answered(self, request, answer, done)

    def _begin_answer(self) -> None:
        self._revision, self._timing, self._retry, self._length, self._eof_ends = 0, b"", False, False, False

    def _fail(self, outcome: Outcome) -> None:
        request, self.request = self.request, None
        if request is not None:
            self._owner.failed(self, request, outcome, monotonic())
