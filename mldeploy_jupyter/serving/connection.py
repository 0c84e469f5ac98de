"""One HTTP/1.1 connection: requests in, answers out, in order.

httptools (Node's llhttp) parses, and is strict about what makes two servers disagree on where a request ends.
What it leaves to a server is done here: deadlines of receipt, limits, `Expect`, pipelining, one `Host`, and an
end of the connection that leaves the client time to read. No task and no coroutine is made for a request.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

import httptools

from . import output
from .exchange import Exchange
from .failure import describe
from .messages import Response, problem

if TYPE_CHECKING:
    from .transport import Transport

MAX_HEADERS = 64 * 1024  # bytes of a request's line and headers
MAX_HEADER_COUNT = 200
MAX_IN_LINE = 1024  # requests sent ahead; one in a line takes many times what it took on the wire
BODY_RATE = 4096  # bytes of a body a second that buy more time than settings.body_timeout
SMALL = 4096  # bytes of a body that are not kept as an object of their own
LINGER_SECONDS = 2.0  # for a client to read the last answer before the connection ends
LINGER_BYTES = 1 << 20  # of a refused body that are read and thrown away
FLUSH_LOOK = 0.005  # seconds between two looks whether an answer is on its way

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TWICE = frozenset(("host", "authorization", "content-type"))  # two of these: somebody is to be fooled
IDLE, HEAD, BODY = range(3)


class Connection(asyncio.Protocol):
    """`owner` says whether it is to be passed on or closed after the present request."""

    def __init__(self, owner: Transport, private: bool) -> None:
        self.owner = owner
        self.private = private  # of the supervisor: it needs no key
        self.app = owner.app
        self.transport = cast(asyncio.Transport, None)
        self.peer: str | None = None
        self.parser: httptools.HttpRequestParser | None = None  # an idle connection costs little
        self.phase = IDLE
        self.since = perf_counter()  # when the phase began, or when an answer was last taken
        self.gone = False  # passed on
        self.ending = 0.0  # when the last answer was sent; what comes is thrown away
        self._in: Exchange | None = None  # the request that arrives
        self._line: deque[Exchange] = deque()  # requests in order; the first is answered next
        self._head_size = 0
        self._raw = 0  # bytes since the request's first, as they came
        self._alone = b""  # what came, when nothing else was here
        self._last = False  # no further request is answered
        self._paused = self._full = self._advancing = False
        self._unsent = 0

    @property
    def busy(self) -> bool:
        return self.phase != IDLE or bool(self._line)

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
        arriving, self._in = self._in, None
        for x in self._line if arriving is None or arriving in self._line else (*self._line, arriving):
            self.owner.buffered -= x.kept
            x.kept = 0
            self.app.lost(x)
        self._line.clear()
        self.phase = IDLE
        self.parser = None  # each knows the other: nobody would free them before the collector
        self.owner.closed(self)

    def data_received(self, data: bytes) -> None:
        if self.gone:
            return
        fresh = self.phase == IDLE and not self._line and not self.private
        if fresh and self._score_again(data):
            return
        self._alone = data if fresh else b""
        self._raw += len(data)
        if self.ending or (self._last and self._in is None):
            # Nothing more is answered, but a client that still writes must be able to, or it never reads.
            if self._raw > LINGER_BYTES:
                self.transport.abort()
            return
        if self.parser is None:
            self.parser = _parser(self)
        try:
            while True:
                try:
                    self.parser.feed_data(data)
                    break
                except httptools.HttpParserUpgrade as upgrade:
                    data = self._decline_upgrade(data[upgrade.args[0] :])
                    if not data:
                        return
        except httptools.HttpParserCallbackError as error:
            text = f"internal error of the server: {describe(error.__context__ or error)}"
            output.log(text, level="error", traceback="".join(traceback.format_exception(error)))
            self.refuse(problem(500, "server-failed", "the server failed; the entry script is not at fault"))
            return
        except httptools.HttpParserError:
            self.refuse(problem(400, "bad-request", "this is not HTTP/1.1, or not whole"))
            return
        if self.phase == HEAD and self._raw > MAX_HEADERS + 65536:  # one header that does not end
            self.refuse(_headers_too_large())
        elif self.owner.leaving and self.phase == IDLE:
            # What comes after this request is the next worker's: leave it in the socket.
            self._pause()
            self.leave()  # its answer may have been sent before all of it had come
        elif len(self._line) > 1:
            self._pause()  # they are answered one by one

    def _score_again(self, data: bytes) -> bool:
        """Takes a whole request whose head was read before (`heads.py`). False: the parser must look."""
        app, owner = self.app, self.owner
        head = app.heads.find(data, app.auth.proof)
        if head is None or self._last or self.ending or self._full or owner.leaving:
            return False
        size = head.length
        if app.too_large(size, owner.buffered) is not None:
            return False
        self.since = perf_counter()
        x = Exchange(self, self.since, head.headers)
        x.method, x.path, x.target = "POST", "/score", b"/score"
        x.size = x.kept = size
        owner.buffered += size
        x.body = data[len(data) - size :]
        x.whole = x.begun = True
        app.name_anew(x)
        self._line.append(x)
        app.handle(x)
        return True

    def eof_received(self) -> bool:
        """A client may end its half and still read: what came whole is answered."""
        self._last = True
        if self._line and self._line[-1].whole and not self.ending:
            self._line[-1].close = True
            return True
        return False

    def pause_writing(self) -> None:
        self._full = True
        self.since, self._unsent = perf_counter(), self.transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        self._full = False
        self.since = perf_counter()
        self._advance()

    # -- the parser's calls ---------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._last:
            return
        if len(self._line) >= MAX_IN_LINE:
            self._last = self._line[-1].close = True
            return
        self.phase, self.since = HEAD, perf_counter()
        self._in = Exchange(self, self.since)
        self._head_size = self._raw = 0

    def on_url(self, url: bytes) -> None:
        x = self._in
        if x is not None:
            self._head_size += len(url)
            if self._head_size <= MAX_HEADERS:
                x.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        x = self._in
        if x is None or self.phase != HEAD:  # a trailer after a chunked body must not change the request
            return
        self._head_size += len(name) + len(value) + 4
        if self._head_size > MAX_HEADERS:
            return
        headers, key, text = x.headers, _name(name), value.decode("latin-1")
        if key in headers:
            if key in _TWICE:
                x.early, x.close = problem(400, "bad-request", f"the header {key} came twice", key), True
            text = f"{headers[key]}, {text}"
        headers[key] = text

    def on_headers_complete(self) -> None:
        x, parser = self._in, self.parser
        if x is None or parser is None:
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
                    x.early, x.close = problem(400, "bad-request", text, "transfer-encoding"), True
            elif version != "1.1":
                x.early, x.close = problem(400, "bad-request", f"HTTP/{version} is not spoken here"), True
            else:
                if "host" not in headers and x.early is None:
                    text = "an HTTP/1.1 request must have the header Host"
                    x.early, x.close = problem(400, "bad-request", text, "host"), True
                if "expect" in headers:
                    x.expects = headers["expect"].lower() == "100-continue"
                    if not x.expects and x.early is None:
                        x.early = problem(417, "expectation-failed", "only 100-continue can be expected", "expect")
        self.phase = BODY
        if not parser.should_keep_alive():
            x.close = True
        self._last = x.close
        self.app.admit(x)
        self._line.append(x)
        if x.early is not None or x.expects:
            self._advance()

    def on_body(self, body: bytes) -> None:
        x = self._in
        if x is None:
            return
        x.size += len(body)
        x.expects = False
        if x.early is not None:
            return
        x.early = self.app.too_large(x.size, self.owner.buffered + len(body))
        if x.early is None:
            _keep(x.parts, body)
            x.kept += len(body)
            self.owner.buffered += len(body)
        else:
            x.parts.clear()
            self._advance()

    def on_message_complete(self) -> None:
        x = self._in
        if x is None or self.phase != BODY:
            return
        self._in = None
        self.phase, self.since, self._raw = IDLE, perf_counter(), 0
        x.whole = True
        if x.parts:
            x.body = bytes(x.parts[0]) if len(x.parts) == 1 else b"".join(x.parts)
            x.parts.clear()
        alone, self._alone = self._alone, b""
        if alone and x.early is None and x.target == b"/score" and x.method == "POST" and not (x.close or x.old):
            self.app.heads.learn(alone, x.headers, x.size, self.app.auth.proof)
        self._advance()

    def _decline_upgrade(self, rest: bytes) -> bytes:
        """Goes on in HTTP/1.1, as a server may. Java's client offers HTTP/2 in every first request, also of a POST.

        Returns what is to be parsed next: the same head without the offer, and what came behind it.
        """
        x, self._in, self._alone = self._in, None, b""
        if x is None or self.phase != HEAD or x.method == "CONNECT" or x.early is not None:
            self._in = x
            self.refuse((x and x.early) or problem(400, "bad-request", "the service does not connect to others"))
            return b""
        head = x.method.encode() + b" " + x.target + b" HTTP/" + self.parser.get_http_version().encode()  # type: ignore[union-attr]
        for name, text in x.headers.items():
            if name == "connection":
                kept = [token.strip() for token in text.split(",")]
                text = ", ".join(token for token in kept if token.lower() not in ("upgrade", "http2-settings"))
            if name != "upgrade" and (text or name != "connection"):
                head += b"\r\n" + name.encode("latin-1") + b": " + text.encode("latin-1")
        self.parser = _parser(self)
        self.phase = IDLE
        return head + b"\r\n\r\n" + rest

    # -- answers --------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Answers what can be answered now: the first in line, then the next."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._line and not self._full and not self.ending:
                x = self._line[0]
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
        if not self._line or self._line[0] is not x or self.transport.is_closing() or self.ending:
            return False
        self._line.popleft()
        cut = not x.whole and not _is_short(x)  # the rest of its body is not waited for
        close = x.close or cut or (self.owner.closing and not self._line)
        if close:
            head += b"connection: close\r\n\r\n"
        else:
            head += b"connection: keep-alive\r\n\r\n" if x.old else b"\r\n"
        self.transport.write(head if x.method == "HEAD" else head + body)
        self.since = perf_counter()
        if close:
            self._line.clear()
            self._end()
        elif self.owner.leaving and not self._line and self.phase == IDLE:
            self.leave()
        else:
            if self._paused and len(self._line) <= 1 and not (self.owner.leaving and self.phase == IDLE):
                self._paused = False
                self.transport.resume_reading()
            if self._line:
                self._advance()
        return True

    def refuse(self, response: Response) -> None:
        """What came cannot be understood, or not in time: an answer in its turn, then the end."""
        if self.ending or self.transport.is_closing():
            return
        x, self._in, self._last, self.phase, self._raw = self._in, None, True, IDLE, 0
        if x is not None and x.begun:  # its answer went out before its body was whole
            self._end()
            return
        if x is None or x not in self._line:
            x = x or Exchange(self, perf_counter())
            x.method, x.path = x.method or "-", x.path or "-"
            self._line.append(x)
        x.early, x.close, x.whole = response, True, False
        if not x.id:
            self.app.name(x)
        self._advance()

    def _end(self) -> None:
        """Nothing more is said. The client is given time to read: a closed socket with unread data resets."""
        self._in, self._last, self.phase, self._raw = None, True, IDLE, 0
        self.ending = perf_counter()
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def overdue(self, now: float) -> None:
        """Called about once a second: ends what takes too long."""
        waited, limits = now - self.since, self.app.settings
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
        elif self.phase == HEAD:
            if waited > limits.head_timeout:
                self.refuse(problem(408, "request-timeout", f"no whole head came within {limits.head_timeout:g} s"))
        elif self.phase == BODY and self._in is not None:
            if waited > limits.body_timeout + self._in.size / BODY_RATE:
                self.refuse(problem(408, "request-timeout", f"the body did not come within {waited:.0f} s", "body"))
        elif not self._line and waited > limits.keep_alive_timeout:
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
            if self.owner.closing and (not self._line or self._line[0] is self._in):
                self.transport.close()
            elif self.phase == IDLE:
                self._pause()
            return
        if self.owner.closing or self.private or self._last:
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


def _parser(connection: Connection) -> httptools.HttpRequestParser:
    parser = httptools.HttpRequestParser(connection)
    # What follows a request that closes is no error, it is not looked at.
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def _set_path(x: Exchange) -> None:
    try:
        parts = httptools.parse_url(x.target)
    except httptools.HttpParserInvalidURLError:
        x.path = x.target.decode("latin-1")
        if x.early is None and x.path != "*":
            x.early, x.close = problem(400, "bad-request", "the request's target is no path", "target"), True
        return
    path = (parts.path or b"/").decode("latin-1")
    x.path = unquote(path) if "%" in path else path
    x.query = (parts.query or b"").decode("latin-1")


def _is_short(x: Exchange) -> bool:
    """Whether the rest of a refused body may be read, so that the connection can stay."""
    length = x.headers.get("content-length", "" if "transfer-encoding" in x.headers else "0")
    return not x.expects and length.isdigit() and int(length) <= LINGER_BYTES


def _headers_too_large() -> Response:
    return problem(431, "headers-too-large", "the request's headers are too large")
