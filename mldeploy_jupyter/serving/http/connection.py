"""One HTTP/1.1 connection: reads requests, answers them in order, and keeps their deadlines.

No task, coroutine or future is made for a request. A head that was accepted before is recognised by its bytes
(`head_cache`); everything else goes through the parser, httptools, which calls the `on_...` methods.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from time import perf_counter
from typing import Any, Protocol, cast
from urllib.parse import unquote

import httptools

from ..ipc.failure import describe
from ..log import writer
from ..scoring.messages import Refused, Response, error_response
from .application import Application
from .exchange import Exchange
from .head_cache import CachedHead
from .request_splitter import RequestSplitter

MAX_HEAD_BYTES = 64 * 1024  # of a request's line and headers, and of its trailers

MAX_HEADER_COUNT = 200  # of headers, and of trailers

MAX_EXCESS = MAX_HEAD_BYTES + 65536  # bytes received that are no body; a head may arrive with the start of its body

MAX_PIPELINED = 1024  # requests on one connection; in memory each takes many times its bytes on the wire

MIN_UPLOAD_RATE = 4096  # bytes of a body a second; a client that keeps this rate may exceed settings.body_timeout

LINGER_SECONDS = 2.0  # how long a client may take to read the last answer before the connection is closed

LINGER_BYTES = 1 << 20  # bytes read and discarded after a refusal

FLUSH_INTERVAL = 0.005  # seconds between two checks whether an answer has been written

# Bytes beside the body that each piece of a body may bring along. A chunk has 6: its size and two line ends.
CHUNK_OVERHEAD = 16

_LARGE_PIECE = 32768  # bytes of a body; to copy one takes longer than to make another parser

# Bytes. Smaller pieces of a body are joined: each as an object of its own would take many times its size.
_SMALL_PIECE = 4096

_UNIQUE_HEADERS = frozenset(("host", "authorization", "content-type"))  # repeated ones may hide a smuggled request

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Owner(Protocol):
    """What a connection knows of its `Acceptor`."""

    app: Application
    loop: asyncio.AbstractEventLoop
    hand_over: Callable[[int], Any]
    draining: bool
    closing: bool
    buffered: int

    def connection_opened(self, connection: Connection) -> None: ...

    def connection_closed(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """`private`: the connection is the supervisor's own, and needs no key."""

    def __init__(self, owner: Owner, private: bool) -> None:
        self.owner = owner
        self.app = owner.app

        # Connection state
        self.transport = cast(asyncio.Transport, None)
        self.private = private
        self.peer: str | None = None
        self.waiting_since = perf_counter()  # start of the current deadline: the last progress in either direction
        self.input_ended = False  # no further request is read
        self.handed_over = False
        self.lingering_since = 0.0  # when the last answer was sent, 0 before; further input is discarded
        self._discarded = 0  # bytes
        self._reading_paused = self._writing_paused = False
        self._kept_alive = False  # a request with a cached head was here before
        self.direct_fd = -1
        self.returned: tuple[bytes, bytes] | None = None  # see `direct_poll.Lendable`
        self._unsent = 0  # bytes in the transport's buffer at the last check

        # Parser state
        self._parser: httptools.HttpRequestParser | None = None  # made when needed: an idle connection costs little
        self._head_bytes = 0  # of the request's line and headers, then of its trailers
        self._header_count = 0  # of headers, then of trailers
        self._splitter = RequestSplitter()
        self._lone_chunk = b""  # the data that is being parsed, if it arrived while no request was here

        # Current requests
        self.arriving: Exchange | None = None  # not complete yet
        self.pipeline: deque[Exchange] = deque()  # requests with complete headers; the first is answered next
        self._advancing = False

    @property
    def busy(self) -> bool:
        return self.arriving is not None or bool(self.pipeline)

    @property
    def idle(self) -> bool:
        """Whether it is open without a request, and stays here."""
        return not (self.busy or self.handed_over or self.lingering_since or self.transport.is_closing())

    # -- calls of the transport -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        self.peer = str(address[0]) if isinstance(address, tuple) and address else None
        self.owner.connection_opened(self)
        if self.owner.draining:
            self.owner.loop.call_soon(self.release)

    def connection_lost(self, exc: Exception | None) -> None:
        with self.app.direct.lock:
            self._lose()

    def _lose(self) -> None:
        arriving, self.arriving = self.arriving, None
        for exchange in self.pipeline if arriving is None or arriving in self.pipeline else (*self.pipeline, arriving):
            self.owner.buffered -= exchange.buffered
            exchange.buffered = 0
            self.app.abandon(exchange)
        self.pipeline.clear()
        self._parser = None  # breaks the cycle with its callbacks, so that both are freed without a garbage collection
        self.owner.connection_closed(self)

    def data_received(self, data: bytes) -> None:
        with self.app.direct.lock:
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        if self.handed_over:
            return
        lone = self.arriving is None and not self.pipeline and not self.private
        barred = self.input_ended or self.lingering_since or self._writing_paused or self.owner.draining
        if lone and not barred and self.receive_known(data):
            return
        if self.lingering_since or (self.input_ended and self.arriving is None):
            # Nothing more is answered, but a client that is still writing must be able to, or it never reads.
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.transport.abort()
            return
        if not self._parse(data, lone):
            return
        if self.owner.draining and self.arriving is None:
            # What follows this request is for the next worker: leave it in the socket.
            self._pause_reading()
            self.release()  # the answer may have been sent before the whole body arrived
        elif len(self.pipeline) > 1:
            self._pause_reading()  # until all but one are answered

    def eof_received(self) -> bool:
        """A client may close its half and still read: complete requests are answered."""
        with self.app.direct.lock:
            return self._end_input()

    def _end_input(self) -> bool:
        self.input_ended = True
        if self.lingering_since:
            return False
        if self.arriving is not None:
            self._refuse(error_response(400, "bad-request", "the request is not whole: the connection ended in it"))
        if self.pipeline:
            self.pipeline[-1].close = True
            return True
        return False

    def pause_writing(self) -> None:
        self._writing_paused = True
        self.waiting_since, self._unsent = perf_counter(), self.transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        with self.app.direct.lock:
            self._writing_paused = False
            self.waiting_since = perf_counter()
            self._advance()

    # -- requests in ----------------------------------------------------------------------------------

    def receive_known(self, data: bytes) -> bool:
        """Handles `data` if it is one whole request whose head is cached. Call it while no other request is here."""
        head = self.app.head_cache.find(data)
        exchange = self._exchange_from_cache(head, data) if head is not None else None
        if exchange is None:
            return False
        self.pipeline.append(exchange)
        self.app.handle(exchange)
        return True

    def may_be_lent(self) -> bool:
        """Whether the script's thread may serve it: the next thing to arrive is the first byte of a request."""
        stays = self.idle and not (self.input_ended or self.private or self.owner.draining)
        paused = self._reading_paused or self._writing_paused or self.returned is not None
        return stays and not paused and self.direct_fd < 0

    def _exchange_from_cache(self, head: CachedHead, data: bytes) -> Exchange | None:
        """The whole request in `data`, whose head is cached. None if its body does not fit: the parser refuses it."""
        app, owner, size = self.app, self.owner, head.length
        if app.check_body_size(size, owner.buffered) is not None:
            return None
        self.waiting_since = now = perf_counter()
        exchange = Exchange(self, now, head.headers)
        exchange.method, exchange.path, exchange.target = "POST", "/score", b"/score"
        exchange.body_size = exchange.buffered = size
        owner.buffered += size
        exchange.body = data[len(data) - size :]
        exchange.complete = exchange.handled = True
        exchange.known, self._kept_alive = self._kept_alive, True
        app.generate_request_id(exchange)
        return exchange

    def _parse(self, data: bytes, lone: bool) -> bool:
        """Parses received data; `lone`: it arrived while no request was here. False: the data was refused."""
        self._lone_chunk = data if lone else b""
        try:
            for segment in self._splitter.split(data, self):
                exchange = self.arriving
                if exchange is not None and exchange.admitted and self._passes_parser(exchange, segment):
                    self.on_body(segment)
                    if exchange.body_size == int(exchange.headers["content-length"]):
                        self.on_message_complete()
                    continue
                parser = self._parser or self._new_parser()
                try:
                    parser.feed_data(segment)
                except httptools.HttpParserUpgrade as upgrade:
                    again = self._decline_upgrade(parser, bytes(segment[upgrade.args[0] :]))
                    if not again:
                        return False
                    self._new_parser().feed_data(again)
        except Refused as refused:
            self._refuse(refused.response)
            return False
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, Refused):
                self._refuse(error.__context__.response)
                return False
            text = f"internal error of the server: {describe(error.__context__ or error)}"
            writer.log(text, level="error", traceback="".join(traceback.format_exception(error)))
            self._refuse(error_response(500, "server-failed", "the server failed; the entry script is not at fault"))
            return False
        except httptools.HttpParserError:
            self._refuse(error_response(400, "bad-request", "this is not HTTP/1.1, or not whole"))
            return False
        exchange = self.arriving
        # The parser reports a header or a trailer once it is complete; this ends one that never is.
        if exchange is not None and self._splitter.excess > MAX_EXCESS:
            self._refuse(_trailers_too_large() if exchange.admitted else _headers_too_large())
            return False
        return True

    def _passes_parser(self, exchange: Exchange, segment: bytes | memoryview) -> bool:
        """Whether a piece of a body goes past the parser, which would copy it and has nothing to find in it.

        The length of such a body is known, and the splitter counts. The next request gets a new parser.
        """
        if self._parser is not None and len(segment) >= _LARGE_PIECE and "transfer-encoding" not in exchange.headers:
            self._parser = None
        return self._parser is None

    def _new_parser(self) -> httptools.HttpRequestParser:
        self._parser = parser = httptools.HttpRequestParser(self)
        # A trailer `Connection: close` must not change the request; see also `on_message_complete`.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _decline_upgrade(self, parser: httptools.HttpRequestParser, rest: bytes) -> bytes:
        """Continues in HTTP/1.1, as a server may. Java's client offers HTTP/2 in every first request, even a POST.

        Returns what a new parser gets: the same head without the offer, then `rest`. Empty: the request was refused.
        """
        exchange = self.arriving
        if exchange is None or exchange.admitted or exchange.method == "CONNECT" or exchange.early_response is not None:
            refusal = error_response(400, "bad-request", "the service does not connect to others")
            self._refuse((exchange and exchange.early_response) or refusal)
            return b""
        head = exchange.method.encode() + b" " + exchange.target + b" HTTP/" + parser.get_http_version().encode()
        for name, text in exchange.headers.items():
            if name == "connection":
                options = [option.strip() for option in text.split(",")]
                text = ", ".join(option for option in options if option.lower() not in ("upgrade", "http2-settings"))
            if name != "upgrade" and (text or name != "connection"):
                head += b"\r\n" + name.encode("latin-1") + b": " + text.encode("latin-1")
        self.arriving, self._lone_chunk, self._splitter.may_begin = None, b"", True
        return head + b"\r\n\r\n" + rest

    # -- calls of the parser --------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.input_ended:
            return
        if not self._splitter.may_begin:
            raise Refused(error_response(400, "bad-request", "the end of the request before is not clear"))
        self._splitter.may_begin = False
        if len(self.pipeline) >= MAX_PIPELINED:
            self.input_ended = self.pipeline[-1].close = True
            return
        self.waiting_since = now = perf_counter()
        self.arriving = Exchange(self, now)
        self._head_bytes = self._header_count = 0

    def on_url(self, url: bytes) -> None:
        exchange = self.arriving
        if exchange is not None:
            self._head_bytes += len(url)
            if self._head_bytes <= MAX_HEAD_BYTES:
                exchange.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        exchange = self.arriving
        if exchange is None:
            return
        self._head_bytes = size = self._head_bytes + len(name) + len(value) + 4
        self._header_count = count = self._header_count + 1
        if size > MAX_HEAD_BYTES or count > MAX_HEADER_COUNT:
            if exchange.admitted:
                raise Refused(_trailers_too_large())
            return
        if exchange.admitted:  # a trailer after a chunked body, which must not change the request
            return
        headers, key, text = exchange.headers, _header_name(name), value.decode("latin-1")
        if key in headers:
            if key in _UNIQUE_HEADERS:
                _reject(exchange, f"the header {key} came twice", key)
            text = f"{headers[key]}{'; ' if key == 'cookie' else ', '}{text}"
        headers[key] = text

    def on_headers_complete(self) -> None:
        exchange, parser = self.arriving, self._parser
        if exchange is None or parser is None:
            return
        headers = exchange.headers
        exchange.method = parser.get_method().decode("latin-1")
        if self._head_bytes > MAX_HEAD_BYTES or self._header_count > MAX_HEADER_COUNT:
            exchange.early_response, exchange.close, exchange.path = _headers_too_large(), True, "/"
        else:
            if parser.should_upgrade():  # the parser stops here; see _decline_upgrade
                return
            if exchange.target == b"/score":
                exchange.path = "/score"
            else:
                _set_path(exchange)
            version = parser.get_http_version()
            if version == "1.1":
                if "host" not in headers and exchange.early_response is None:
                    _reject(exchange, "an HTTP/1.1 request must have the header Host", "host")
                if "expect" in headers:
                    exchange.expects_continue = headers["expect"].lower() == "100-continue"
                    if not exchange.expects_continue and exchange.early_response is None:
                        text = "only 100-continue can be expected"
                        exchange.early_response = error_response(417, "expectation-failed", text, "expect")
            else:
                exchange.http10 = True
                if "transfer-encoding" in headers and exchange.early_response is None:
                    # HTTP/1.0 has no chunks, so an intermediary may read the request otherwise (RFC 9112, 6.1).
                    _reject(exchange, "an HTTP/1.0 request cannot come in chunks", "transfer-encoding")
            if "transfer-encoding" in headers:
                coding = headers["transfer-encoding"].lower()
                # Where chunked is not the last, the end of the body is unknown, and the parser refuses the request.
                if coding != "chunked" and coding.endswith("chunked") and exchange.early_response is None:
                    text = "the only transfer coding is chunked"
                    exchange.early_response = error_response(501, "not-implemented", text, "transfer-encoding")
                    exchange.close = True
        exchange.admitted = True
        self._head_bytes = self._header_count = 0
        if not parser.should_keep_alive():
            exchange.close = True
        self.input_ended = exchange.close
        self.app.admit(exchange, self.owner.buffered)
        self.pipeline.append(exchange)
        if exchange.early_response is not None or exchange.expects_continue:
            self._advance()

    def on_body(self, body: bytes | memoryview) -> None:
        exchange = self.arriving
        if exchange is None:
            return
        size, splitter = len(body), self._splitter
        exchange.body_size += size
        excess = splitter.excess - 2 * size - CHUNK_OVERHEAD
        splitter.excess = excess if excess > 0 else 0
        exchange.expects_continue = False
        if exchange.early_response is not None:
            return
        if exchange.path != "/score":  # no other route reads it
            if exchange.body_size > LINGER_BYTES:
                text = f"{exchange.path} takes no body"
                exchange.early_response = error_response(413, "too-large", text, "body")
                self._advance()
            return
        owner = self.owner
        exchange.early_response = self.app.check_body_size(exchange.body_size, owner.buffered - exchange.buffered)
        if exchange.early_response is None:
            _add_piece(exchange.body_parts, body)
            exchange.buffered += size
            owner.buffered += size
        else:
            exchange.body_parts.clear()
            self._advance()

    def on_message_complete(self) -> None:
        exchange = self.arriving
        if exchange is None or not exchange.admitted:
            return
        self.arriving = None
        self.waiting_since = perf_counter()
        self._splitter.await_request()
        if self._header_count and not exchange.close:
            # After a trailer `Connection: close` it would read no further request, without an error.
            self._parser = None
        exchange.complete = True
        parts = exchange.body_parts
        if parts:
            exchange.body = bytes(parts[0]) if len(parts) == 1 else b"".join(parts)
            parts.clear()
        lone, self._lone_chunk = self._lone_chunk, b""
        usual = exchange.target == b"/score" and exchange.method == "POST" and not (exchange.close or exchange.http10)
        if lone and usual and exchange.early_response is None:
            self.app.head_cache.learn(lone, exchange.headers, exchange.body_size)
        self._advance()

    # -- answers out ----------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Answers what can be answered now: the first request in the pipeline, then the next."""
        if self._advancing:  # an answer was sent at once, from the loop below
            return
        self._advancing = True
        try:
            while self.pipeline and not self._writing_paused and not self.lingering_since:
                exchange = self.pipeline[0]
                if exchange.handled:
                    return
                if exchange.early_response is not None:
                    exchange.handled = True
                    self.app.send_response(exchange, exchange.early_response)
                elif exchange.complete:
                    exchange.handled = True
                    self.app.handle(exchange)
                else:
                    if exchange.expects_continue:
                        exchange.expects_continue = False
                        self.transport.write(_CONTINUE)
                    return
        finally:
            self._advancing = False

    def send(self, exchange: Exchange, head: bytes, body: bytes) -> None:
        """Writes the answer to the first request in the pipeline; does nothing if the client is gone.

        `head` is the status line and the headers, without `connection` and the empty line.
        """
        pipeline, owner, direct = self.pipeline, self.owner, self.app.direct
        owner.buffered -= exchange.buffered
        exchange.buffered = 0
        if not pipeline or pipeline[0] is not exchange or self.transport.is_closing() or self.lingering_since:
            return
        pipeline.popleft()
        # After an early answer, a long rest of the body is not worth waiting for.
        cut_off = not exchange.complete and not _is_rest_short(exchange)
        close = exchange.close or cut_off or (owner.closing and not pipeline)
        if close:
            head += b"connection: close\r\n\r\n"
        else:
            head += b"connection: keep-alive\r\n\r\n" if exchange.http10 else b"\r\n"
        self.waiting_since = perf_counter()
        if self.direct_fd >= 0:
            direct.write(self, head + body)
            return
        self.transport.write(head if exchange.method == "HEAD" else head + body)
        if exchange.known and direct.active:
            owner.loop.call_soon(direct.call, direct.lend, self)
        if close:
            pipeline.clear()
            self._linger()
        elif owner.draining and not pipeline and self.arriving is None:
            self.release()
        else:
            if self._reading_paused and len(pipeline) <= 1 and not (owner.draining and self.arriving is None):
                self._reading_paused = False
                self.transport.resume_reading()
            if pipeline:
                self._advance()

    def _refuse(self, response: Response) -> None:
        """Answers input that is invalid or late, in its turn, and then closes the connection."""
        if self.lingering_since or self.transport.is_closing():
            return
        exchange, self.arriving, self.input_ended = self.arriving, None, True
        if exchange is not None and exchange.handled:  # answered before its body was complete
            self._linger()
            return
        if exchange is None or exchange not in self.pipeline:
            exchange = exchange or Exchange(self, perf_counter())
            exchange.method, exchange.path = exchange.method or "-", exchange.path or "-"
            self.pipeline.append(exchange)
        exchange.early_response, exchange.close, exchange.complete = response, True, False
        if not exchange.id:
            self.app.assign_request_id(exchange)
        self._advance()

    # -- deadlines and the end ------------------------------------------------------------------------

    def check_deadlines(self, now: float) -> None:
        """Ends what takes too long. Called about once a second."""
        exchange, waited, settings = self.arriving, now - self.waiting_since, self.app.settings
        if self._writing_paused or (self.lingering_since and self.transport.get_write_buffer_size()):
            unsent = self.transport.get_write_buffer_size()
            if unsent != self._unsent:
                self.waiting_since, self._unsent = now, unsent
            elif waited > settings.stalled_timeout:
                self.transport.abort()
            if self.lingering_since:
                self.lingering_since = now  # the client has not received the last answer yet
        elif self.lingering_since:
            if now - self.lingering_since > LINGER_SECONDS:
                self.transport.abort()
        elif self._reading_paused:
            self.waiting_since = now  # reading is paused by us, so the client is not slow
        elif exchange is not None and not exchange.admitted:
            if waited > settings.head_timeout:
                text = f"no whole head came within {settings.head_timeout:g} s"
                self._refuse(error_response(408, "request-timeout", text))
        elif exchange is not None:
            if waited > settings.body_timeout + exchange.body_size / MIN_UPLOAD_RATE:
                text = f"the body did not come within {waited:.0f} s"
                self._refuse(error_response(408, "request-timeout", text, "body"))
        elif not self.pipeline and waited > settings.keep_alive_timeout:
            self.evict()

    def evict(self) -> None:
        """Closes an idle connection."""
        self.app.direct.take_back(self)
        if self.transport.get_write_buffer_size():  # an answer that was never read
            self.transport.abort()
        else:
            self.transport.close()

    def release(self) -> None:
        """Hands the connection over to another worker, or closes it, as soon as no request is on it."""
        with self.app.direct.lock:
            self.app.direct.take_back(self)
            self._release()

    def _release(self) -> None:
        if self.handed_over or self.transport.is_closing():
            return
        owner = self.owner
        if self.lingering_since:
            if owner.closing:
                self.transport.close()
            return
        if self.busy:
            # A service that stops does not wait for the rest of a head or a body.
            if owner.closing and (not self.pipeline or self.pipeline[0] is self.arriving):
                self.transport.close()
            elif self.arriving is None:
                self._pause_reading()
            return
        if owner.closing or self.private or self.input_ended:
            self.transport.close()
        elif self.transport.get_write_buffer_size():
            owner.loop.call_later(FLUSH_INTERVAL, self.release)
        else:
            self._pause_reading()
            self.handed_over = True
            owner.hand_over(self.transport.get_extra_info("socket").fileno())
            # This closes our copy only: the descriptor that was sent keeps the connection open.
            self.transport.close()

    def _linger(self) -> None:
        """Ends our half, and gives the client time to read: closing a socket with unread data resets it."""
        self.arriving, self.input_ended, self._discarded = None, True, 0
        self.lingering_since = perf_counter()
        if self._reading_paused:
            self._reading_paused = False
            self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()


@lru_cache(maxsize=512)  # clients send the same few names again and again
def _header_name(name: bytes) -> str:
    return name.decode("latin-1").lower()


def _set_path(exchange: Exchange) -> None:
    try:
        parts = httptools.parse_url(exchange.target)
    except httptools.HttpParserInvalidURLError:
        exchange.path = exchange.target.decode("latin-1")
        if exchange.early_response is None and exchange.path != "*":
            _reject(exchange, "the request's target is no path", "target")
        return
    path = (parts.path or b"/").decode("latin-1")
    exchange.path = unquote(path) if "%" in path else path
    exchange.query = (parts.query or b"").decode("latin-1")


def _add_piece(parts: list[bytes | bytearray | memoryview], piece: bytes | memoryview) -> None:
    if not parts or len(piece) >= _SMALL_PIECE:
        parts.append(piece)
    elif isinstance(parts[-1], bytearray):
        parts[-1] += piece
    else:
        parts.append(bytearray(piece))


def _is_rest_short(exchange: Exchange) -> bool:
    """Whether the rest of a refused body may be read and discarded, so that the connection can stay open."""
    headers = exchange.headers
    length = headers.get("content-length", "" if "transfer-encoding" in headers else "0")
    return not exchange.expects_continue and length.isdigit() and int(length) <= LINGER_BYTES


def _reject(exchange: Exchange, text: str, where: str = "") -> None:
    exchange.early_response, exchange.close = error_response(400, "bad-request", text, where), True


def _headers_too_large() -> Response:
    return error_response(431, "headers-too-large", "the request's headers are too large")


def _trailers_too_large() -> Response:
    text = "the extensions and trailers of the request's chunks are too large"
    return error_response(431, "headers-too-large", text)
