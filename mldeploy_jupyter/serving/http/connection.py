"""One HTTP/1.1 connection: requests in, answers out, in order.

`reading.py` makes requests of what comes. Here are their line (pipelining), the answers, deadlines of receipt, and an
end of the connection that leaves the client time to read. No task and no coroutine is made for a request.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import httptools

from ..ipc.failure import describe
from ..log import writer
from ..scoring.messages import Response, error_response
from .exchange import Exchange
from .head_cache import Head

if TYPE_CHECKING:
    from .acceptor import Acceptor


BODY_RATE = 4096  # bytes of a body a second that buy more time than settings.body_timeout

LINGER_SECONDS = 2.0  # for a client to read the last answer before the connection ends

LINGER_BYTES = 1 << 20  # of a refused body that are read and thrown away

FLUSH_LOOK = 0.005  # seconds between two looks whether an answer is on its way

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """`owner` says whether it is to be passed on or closed after the present request."""

    def __init__(self, owner: Acceptor, private: bool) -> None:
        self.owner = owner
        self.private = private  # of the supervisor: it needs no key
        self.app = owner.app
        self.transport = cast(asyncio.Transport, None)
        self.peer: str | None = None
        self.reader: Reader | None = None  # an idle connection costs little
        self.since = perf_counter()  # when a request began to arrive or was whole, or an answer was last taken
        self.arriving: Exchange | None = None  # not whole yet
        self.line: deque[Exchange] = deque()  # requests whose head is there; the first is answered next
        self.last = False  # no further request is answered
        self.gone = False  # passed on
        self.ending = 0.0  # when the last answer was sent; what comes is thrown away
        self._thrown = 0  # bytes of it
        self._paused = self._full = self._advancing = False
        self._unsent = 0

    @property
    def busy(self) -> bool:
        return self.arriving is not None or bool(self.line)

    @property
    def stays(self) -> bool:
        """Whether it is idle, and neither passed on nor ended yet."""
        return not (self.busy or self.gone or self.ending or self.transport.is_closing())

    # -- the transport's calls ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        self.peer = str(address[0]) if isinstance(address, tuple) and address else None
        self.owner.opened(self)
        if self.owner.leaving:
            self.owner.loop.call_soon(self.leave)

    def connection_lost(self, exc: Exception | None) -> None:
        arriving, self.arriving = self.arriving, None
        for x in self.line if arriving is None or arriving in self.line else (*self.line, arriving):
            self.owner.buffered -= x.kept
            x.kept = 0
            self.app.lost(x)
        self.line.clear()
        if self.reader is not None:
            self.reader.end()
            self.reader = None
        self.owner.closed(self)

    def data_received(self, data: bytes) -> None:
        if self.gone:
            return
        app = self.app
        alone = self.arriving is None and not self.line and not self.private
        if alone and not (self.last or self.ending or self._full or self.owner.leaving):
            head = app.heads.find(data, app.auth.proof)
            x = known_request(self, head, data) if head is not None else None
            if x is not None:
                self.line.append(x)
                app.handle(x)
                return
        if self.ending or (self.last and self.arriving is None):
            # Nothing more is answered, but a client that still writes must be able to, or it never reads.
            self._thrown += len(data)
            if self._thrown > LINGER_BYTES:
                self.transport.abort()
            return
        if self.reader is None:
            self.reader = Reader(self)
        if not self.reader.read(data, alone):
            return
        if self.owner.leaving and self.arriving is None:
            # What comes after this request is the next worker's: leave it in the socket.
            self._pause()
            self.leave()  # its answer may have been sent before all of it had come
        elif len(self.line) > 1:
            self._pause()  # they are answered one by one

    def eof_received(self) -> bool:
        """A client may end its half and still read: what came whole is answered."""
        self.last = True
        if self.line and self.line[-1].whole and not self.ending:
            self.line[-1].close = True
            return True
        return False

    def pause_writing(self) -> None:
        self._full = True
        self.since, self._unsent = perf_counter(), self.transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        self._full = False
        self.since = perf_counter()
        self.advance()

    # -- answers --------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Answers what can be answered now: the first in line, then the next."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while self.line and not self._full and not self.ending:
                x = self.line[0]
                if x.begun:
                    return
                if x.early is not None:
                    x.begun = True
                    self.app.finish(x, x.early)
                elif x.whole:
                    x.begun = True
                    self.app.handle(x)
                else:
                    if x.expects:
                        x.expects = False
                        self.transport.write(_CONTINUE)
                    return
        finally:
            self._advancing = False

    def send(self, x: Exchange, head: bytes, body: bytes) -> bool:
        """Writes the answer of the first in line: status line and headers without the last lines, then the body.

        False when the client is gone, or the connection is.
        """
        self.owner.buffered -= x.kept
        x.kept = 0
        if not self.line or self.line[0] is not x or self.transport.is_closing() or self.ending:
            return False
        self.line.popleft()
        cut = not x.whole and not _is_short(x)  # the rest of its body is not waited for
        close = x.close or cut or (self.owner.closing and not self.line)
        if close:
            head += b"connection: close\r\n\r\n"
        else:
            head += b"connection: keep-alive\r\n\r\n" if x.old else b"\r\n"
        self.transport.write(head if x.method == "HEAD" else head + body)
        self.since = perf_counter()
        if close:
            self.line.clear()
            self._end()
        elif self.owner.leaving and not self.line and self.arriving is None:
            self.leave()
        else:
            if self._paused and len(self.line) <= 1 and not (self.owner.leaving and self.arriving is None):
                self._paused = False
                self.transport.resume_reading()
            if self.line:
                self.advance()
        return True

    def refuse(self, response: Response) -> None:
        """What came cannot be understood, or not in time: an answer in its turn, then the end."""
        if self.ending or self.transport.is_closing():
            return
        x, self.arriving, self.last = self.arriving, None, True
        if x is not None and x.begun:  # its answer went out before its body was whole
            self._end()
            return
        if x is None or x not in self.line:
            x = x or Exchange(self, perf_counter())
            x.method, x.path = x.method or "-", x.path or "-"
            self.line.append(x)
        x.early, x.close, x.whole = response, True, False
        if not x.id:
            self.app.name(x)
        self.advance()

    def _end(self) -> None:
        """Nothing more is said. The client is given time to read: a closed socket with unread data resets."""
        self.arriving, self.last, self._thrown = None, True, 0
        self.ending = perf_counter()
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def overdue(self, now: float) -> None:
        """Called about once a second: ends what takes too long."""
        x, waited, limits = self.arriving, now - self.since, self.app.settings
        if self._full or (self.ending and self.transport.get_write_buffer_size()):
            unsent = self.transport.get_write_buffer_size()
            if unsent != self._unsent:
                self.since, self._unsent = now, unsent
            elif waited > limits.stalled_timeout:
                self.transport.abort()
            if self.ending:
                self.ending = now  # the client has not been given the last answer yet
        elif self.ending:
            if now - self.ending > LINGER_SECONDS:
                self.transport.abort()
        elif self._paused:
            self.since = now  # it is we who do not read
        elif x is not None and not x.admitted:
            if waited > limits.head_timeout:
                self.refuse(
                    error_response(408, "request-timeout", f"no whole head came within {limits.head_timeout:g} s")
                )
        elif x is not None:
            if waited > limits.body_timeout + x.size / BODY_RATE:
                self.refuse(
                    error_response(408, "request-timeout", f"the body did not come within {waited:.0f} s", "body")
                )
        elif not self.line and waited > limits.keep_alive_timeout:
            self.evict()

    def evict(self) -> None:
        """Ends an idle connection."""
        if self.transport.get_write_buffer_size():  # an answer that was never read
            self.transport.abort()
        else:
            self.transport.close()

    # -- leaving --------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Passes the connection on, or closes it, as soon as no request is on it."""
        if self.gone or self.transport.is_closing():
            return
        if self.ending:
            if self.owner.closing:
                self.transport.close()
            return
        if self.busy:
            # Nobody is kept waiting for the rest of a head, or of a body.
            if self.owner.closing and (not self.line or self.line[0] is self.arriving):
                self.transport.close()
            elif self.arriving is None:
                self._pause()
            return
        if self.owner.closing or self.private or self.last:
            self.transport.close()
        elif self.transport.get_write_buffer_size():
            self.owner.loop.call_later(FLUSH_LOOK, self.leave)
        else:
            self._pause()
            self.gone = True
            self.owner.pass_on(self.transport.get_extra_info("socket").fileno())
            # Closing ours ends nothing: the copy that was sent keeps the connection open.
            self.transport.close()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self.transport.pause_reading()


def _is_short(x: Exchange) -> bool:
    """Whether the rest of a refused body may be read, so that the connection can stay."""
    length = x.headers.get("content-length", "" if "transfer-encoding" in x.headers else "0")
    return not x.expects and length.isdigit() and int(length) <= LINGER_BYTES


MAX_HEADERS = 64 * 1024  # bytes of a request's line and headers

MAX_HEADER_COUNT = 200

MAX_IN_LINE = 1024  # requests sent ahead; one in a line takes many times what it took on the wire

SMALL = 4096  # bytes of a body that are not kept as an object of their own

_TWICE = frozenset(("host", "authorization", "content-type"))  # two of these: somebody is to be fooled


class Reader:
    """Reads the requests of one connection.

    The one that is being read is the connection's `arriving`. When its head is there, it goes to the end of the `line`.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.app = connection.app
        self._parser = _parser(self)
        self._head_size = 0
        self._raw = 0  # bytes since the request's first, as they came
        self._alone = b""  # what came, when nothing else was here

    def end(self) -> None:
        self._parser = cast(Any, None)  # each knows the other: nobody would free them before the collector

    def read(self, data: bytes, alone: bool) -> bool:
        """Reads what came; `alone`: no other request was here. False: it was refused, and is the last."""
        self._alone = data if alone else b""
        self._raw += len(data)
        connection = self.connection
        try:
            while True:
                try:
                    self._parser.feed_data(data)
                    break
                except httptools.HttpParserUpgrade as upgrade:
                    data = self._decline_upgrade(data[upgrade.args[0] :])
                    if not data:
                        return False
        except httptools.HttpParserCallbackError as error:
            text = f"internal error of the server: {describe(error.__context__ or error)}"
            writer.log(text, level="error", traceback="".join(traceback.format_exception(error)))
            connection.refuse(
                error_response(500, "server-failed", "the server failed; the entry script is not at fault")
            )
            return False
        except httptools.HttpParserError:
            connection.refuse(error_response(400, "bad-request", "this is not HTTP/1.1, or not whole"))
            return False
        x = connection.arriving
        if x is not None and not x.admitted and self._raw > MAX_HEADERS + 65536:  # one header that does not end
            connection.refuse(_headers_too_large())
            return False
        return True

    # -- the parser's calls ---------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        connection = self.connection
        if connection.last:
            return
        if len(connection.line) >= MAX_IN_LINE:
            connection.last = connection.line[-1].close = True
            return
        connection.since = now = perf_counter()
        connection.arriving = Exchange(connection, now)
        self._head_size = self._raw = 0

    def on_url(self, url: bytes) -> None:
        x = self.connection.arriving
        if x is not None:
            self._head_size += len(url)
            if self._head_size <= MAX_HEADERS:
                x.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        x = self.connection.arriving
        if x is None or x.admitted:  # a trailer after a chunked body must not change the request
            return
        self._head_size += len(name) + len(value) + 4
        if self._head_size > MAX_HEADERS:
            return
        headers, key, text = x.headers, _name(name), value.decode("latin-1")
        if key in headers:
            if key in _TWICE:
                x.early, x.close = error_response(400, "bad-request", f"the header {key} came twice", key), True
            text = f"{headers[key]}, {text}"
        headers[key] = text

    def on_headers_complete(self) -> None:
        connection, parser = self.connection, self._parser
        x = connection.arriving
        if x is None:
            return
        headers = x.headers
        x.method = parser.get_method().decode("latin-1")
        if self._head_size > MAX_HEADERS or len(headers) > MAX_HEADER_COUNT:
            x.early, x.close, x.path = _headers_too_large(), True, "/"
        else:
            if parser.should_upgrade():  # another protocol is offered; see _decline_upgrade
                return
            if x.target == b"/score":
                x.path = "/score"
            else:
                _set_path(x)
            version = parser.get_http_version()
            if version == "1.0":
                x.old = True
                if "transfer-encoding" in headers and x.early is None:
                    # Who speaks 1.0 knows no chunks: something in between may not either (RFC 9112, 6.1).
                    text = "an HTTP/1.0 request cannot come in chunks"
                    x.early, x.close = error_response(400, "bad-request", text, "transfer-encoding"), True
            elif version != "1.1":
                x.early, x.close = error_response(400, "bad-request", f"HTTP/{version} is not spoken here"), True
            else:
                if "host" not in headers and x.early is None:
                    text = "an HTTP/1.1 request must have the header Host"
                    x.early, x.close = error_response(400, "bad-request", text, "host"), True
                if "expect" in headers:
                    x.expects = headers["expect"].lower() == "100-continue"
                    if not x.expects and x.early is None:
                        x.early = error_response(
                            417, "expectation-failed", "only 100-continue can be expected", "expect"
                        )
        x.admitted = True
        if not parser.should_keep_alive():
            x.close = True
        connection.last = x.close
        self.app.admit(x)
        connection.line.append(x)
        if x.early is not None or x.expects:
            connection.advance()

    def on_body(self, body: bytes) -> None:
        connection = self.connection
        x = connection.arriving
        if x is None:
            return
        x.size += len(body)
        x.expects = False
        if x.early is not None:
            return
        owner = connection.owner
        x.early = self.app.too_large(x.size, owner.buffered - x.kept)
        if x.early is None:
            _keep(x.parts, body)
            x.kept += len(body)
            owner.buffered += len(body)
        else:
            x.parts.clear()
            connection.advance()

    def on_message_complete(self) -> None:
        connection = self.connection
        x = connection.arriving
        if x is None or not x.admitted:
            return
        connection.arriving = None
        connection.since, self._raw = perf_counter(), 0
        x.whole = True
        if x.parts:
            x.body = bytes(x.parts[0]) if len(x.parts) == 1 else b"".join(x.parts)
            x.parts.clear()
        alone, self._alone = self._alone, b""
        if alone and x.early is None and x.target == b"/score" and x.method == "POST" and not (x.close or x.old):
            self.app.heads.learn(alone, x.headers, x.size, self.app.auth.proof)
        connection.advance()

    def _decline_upgrade(self, rest: bytes) -> bytes:
        """Goes on in HTTP/1.1, as a server may. Java's client offers HTTP/2 in every first request, also of a POST.

        Returns what is to be parsed next: the same head without the offer, and what came behind it.
        """
        x = self.connection.arriving
        if x is None or x.admitted or x.method == "CONNECT" or x.early is not None:
            text = "the service does not connect to others"
            self.connection.refuse((x and x.early) or error_response(400, "bad-request", text))
            return b""
        head = x.method.encode() + b" " + x.target + b" HTTP/" + self._parser.get_http_version().encode()
        for name, text in x.headers.items():
            if name == "connection":
                kept = [token.strip() for token in text.split(",")]
                text = ", ".join(token for token in kept if token.lower() not in ("upgrade", "http2-settings"))
            if name != "upgrade" and (text or name != "connection"):
                head += b"\r\n" + name.encode("latin-1") + b": " + text.encode("latin-1")
        self.connection.arriving, self._alone = None, b""
        self._parser = _parser(self)
        return head + b"\r\n\r\n" + rest


def known_request(connection: Connection, head: Head, data: bytes) -> Exchange | None:
    """The whole request that `data` is, its head being known. None: the parser must look."""
    app, owner, size = connection.app, connection.owner, head.length
    if app.too_large(size, owner.buffered) is not None:
        return None
    connection.since = now = perf_counter()
    x = Exchange(connection, now, head.headers)
    x.method, x.path, x.target = "POST", "/score", b"/score"
    x.size = x.kept = size
    owner.buffered += size
    x.body = data[len(data) - size :]
    x.whole = x.begun = True
    app.name_anew(x)
    return x


def _keep(parts: list[bytes | bytearray], piece: bytes) -> None:
    """Small pieces are kept together: each by itself takes many times its size."""
    if not parts or len(piece) >= SMALL:
        parts.append(piece)
    elif isinstance(parts[-1], bytearray):
        parts[-1] += piece
    else:
        parts.append(bytearray(piece))


@lru_cache(maxsize=512)  # clients say the same few names again and again
def _name(name: bytes) -> str:
    return name.decode("latin-1").lower()


def _parser(reader: Reader) -> httptools.HttpRequestParser:
    parser = httptools.HttpRequestParser(reader)
    # What follows a request that closes is no error, it is not looked at.
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def _set_path(x: Exchange) -> None:
    try:
        parts = httptools.parse_url(x.target)
    except httptools.HttpParserInvalidURLError:
        x.path = x.target.decode("latin-1")
        if x.early is None and x.path != "*":
            x.early, x.close = error_response(400, "bad-request", "the request's target is no path", "target"), True
        return
    path = (parts.path or b"/").decode("latin-1")
    x.path = unquote(path) if "%" in path else path
    x.query = (parts.query or b"").decode("latin-1")


def _headers_too_large() -> Response:
    return error_response(431, "headers-too-large", "the request's headers are too large")
