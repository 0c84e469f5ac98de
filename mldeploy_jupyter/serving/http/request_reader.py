"""Reads the requests of one connection, with the parser httptools, which calls the `on_...` methods."""

from __future__ import annotations

import traceback
from collections import deque
from functools import lru_cache
from time import perf_counter
from typing import Any, Protocol
from urllib.parse import unquote

import httptools

from ..ipc.failure import describe
from ..log import writer
from ..scoring.messages import Refused, Response, error_response
from .application import Application
from .body import LongBody, Pieces, new_body
from .exchange import Exchange, Sender
from .head_cache import MAX_CACHED_BYTES
from .request_splitter import RequestSplitter

MAX_HEAD_BYTES = 64 * 1024  # of a request's line and headers, and of its trailers

MAX_HEADER_COUNT = 200  # of headers, and of trailers

MAX_EXCESS = MAX_HEAD_BYTES + 65536  # bytes received that are no body; a head may arrive with the start of its body

MAX_PIPELINED = 1024  # requests on one connection; in memory each takes many times its bytes on the wire

MAX_UNREAD = 1 << 20  # bytes of a body for a route that takes none

# Bytes beside the body that each piece of a body may bring along. A chunk has 6: its size and two line ends.
CHUNK_OVERHEAD = 16

_LARGE_PIECE = 32768  # bytes of a body; to copy one takes longer than to make another parser

_UNIQUE_HEADERS = frozenset(("host", "authorization", "content-type"))  # repeated ones may hide a smuggled request


class Buffers(Protocol):
    """`buffered` are the bytes of bodies that all connections hold."""

    buffered: int


class Connected(Sender, Protocol):
    """The connection, as its reader sees it. `advance` answers what can be answered, `refuse` answers and closes."""

    app: Application
    owner: Any
    arriving: Exchange | None
    pipeline: deque[Exchange]
    input_ended: bool
    waiting_since: float

    def advance(self) -> None: ...

    def refuse(self, response: Response) -> None: ...


class RequestReader:
    """How far one connection has read. The requests themselves are the connection's: `arriving` and `pipeline`."""

    def __init__(self, connection: Connected) -> None:
        self._connection = connection
        self._buffers: Buffers = connection.owner
        self.parser: httptools.HttpRequestParser | None = None  # made when needed: an idle connection costs little
        self._head_bytes = 0  # of the request's line and headers, then of its trailers
        self._header_count = 0  # of headers, then of trailers
        self._splitter = RequestSplitter()
        self._first = b""  # what is being parsed, if it may be a whole head that came while no request was here

    def receive(self, data: bytes, lone: bool) -> bool:
        """Reads received data; `lone`: it arrived while no request was here. False: the data was refused."""
        connection = self._connection
        try:
            for segment in self._splitter.split(data, connection):
                exchange = connection.arriving
                if exchange is not None and exchange.admitted and self._passes_parser(exchange, segment):
                    received = self.admit_body(exchange, len(segment))
                    if received is not None:
                        received.add(segment)
                    self.end_body(exchange)
                    continue
                parser = self.parser or self._new_parser()
                self._first = segment if lone and type(segment) is bytes else b""
                lone = False
                try:
                    parser.feed_data(segment)
                except httptools.HttpParserUpgrade as upgrade:
                    again = self._decline_upgrade(parser, bytes(segment[upgrade.args[0] :]))
                    if not again:
                        return False
                    self._new_parser().feed_data(again)
                self._first = b""
        except Refused as refused:
            connection.refuse(refused.response)
            return False
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, Refused):
                connection.refuse(error.__context__.response)
                return False
            text = f"internal error of the server: {describe(error.__context__ or error)}"
            writer.log(text, level="error", traceback="".join(traceback.format_exception(error)))
            connection.refuse(
                error_response(500, "server-failed", "the server failed; the entry script is not at fault")
            )
            return False
        except httptools.HttpParserError:
            connection.refuse(error_response(400, "bad-request", "this is not HTTP/1.1, or not whole"))
            return False
        exchange = connection.arriving
        # The parser reports a header or a trailer once it is complete; this ends one that never is.
        if exchange is not None and self._splitter.excess > MAX_EXCESS:
            connection.refuse(_trailers_too_large() if exchange.admitted else _headers_too_large())
            return False
        return True

    def skip_head(self) -> None:
        """The head of a request was read otherwise: what comes now is its body, which needs no parser."""
        self._splitter.skip_head()

    def skip_body(self, exchange: Exchange) -> None:
        """The rest of the body is read without the parser."""
        if not exchange.unparsed:
            exchange.unparsed, self.parser = True, None  # the next request gets a new one

    def admit_body(self, exchange: Exchange, size: int) -> LongBody | Pieces | None:
        """Counts `size` more bytes of the body of the request that arrives. Returns what they go to; None: nowhere."""
        splitter = self._splitter
        exchange.body_size += size
        excess = splitter.excess - 2 * size - CHUNK_OVERHEAD
        splitter.excess = excess if excess > 0 else 0
        exchange.expects_continue = False
        if exchange.early_response is not None:
            return None
        connection, buffers = self._connection, self._buffers
        if exchange.path != "/score":  # no other route reads it
            if exchange.body_size > MAX_UNREAD:
                text = f"{exchange.path} takes no body"
                exchange.early_response = error_response(413, "too-large", text, "body")
                connection.advance()
            return None
        others = buffers.buffered - exchange.buffered
        exchange.early_response = connection.app.check_body_size(exchange.body_size, others)
        if exchange.early_response is not None:
            exchange.received = None
            connection.advance()
            return None
        if exchange.received is None:
            exchange.received = new_body(exchange.length)
        exchange.buffered += size
        buffers.buffered += size
        return exchange.received

    def end_body(self, exchange: Exchange) -> None:
        """Ends a request whose body passes the parser, if it has arrived."""
        if exchange.body_size == exchange.length:
            self.on_message_complete()

    def _passes_parser(self, exchange: Exchange, segment: bytes | memoryview) -> bool:
        """Whether a piece of a body goes past the parser, which would copy it and has nothing to find in it.

        The length of such a body is known, and the splitter counts.
        """
        if not exchange.unparsed and exchange.length >= 0 and len(segment) >= _LARGE_PIECE:
            self.skip_body(exchange)
        return exchange.unparsed

    def _new_parser(self) -> httptools.HttpRequestParser:
        self.parser = parser = httptools.HttpRequestParser(self)
        # A trailer `Connection: close` must not change the request; see also `on_message_complete`.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _decline_upgrade(self, parser: httptools.HttpRequestParser, rest: bytes) -> bytes:
        """Continues in HTTP/1.1, as a server may. Java's client offers HTTP/2 in every first request, even a POST.

        Returns what a new parser gets: the same head without the offer, then `rest`. Empty: the request was refused.
        """
        connection = self._connection
        exchange = connection.arriving
        if exchange is None or exchange.admitted or exchange.method == "CONNECT" or exchange.early_response is not None:
            refusal = error_response(400, "bad-request", "the service does not connect to others")
            connection.refuse((exchange and exchange.early_response) or refusal)
            return b""
        head = exchange.method.encode() + b" " + exchange.target + b" HTTP/" + parser.get_http_version().encode()
        for name, text in exchange.headers.items():
            if name == "connection":
                options = [option.strip() for option in text.split(",")]
                text = ", ".join(option for option in options if option.lower() not in ("upgrade", "http2-settings"))
            if name != "upgrade" and (text or name != "connection"):
                head += b"\r\n" + name.encode("latin-1") + b": " + text.encode("latin-1")
        connection.arriving, self._first, self._splitter.may_begin = None, b"", True
        return head + b"\r\n\r\n" + rest

    # -- calls of the parser --------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        connection = self._connection
        if connection.input_ended:
            return
        if not self._splitter.may_begin:
            raise Refused(error_response(400, "bad-request", "the end of the request before is not clear"))
        self._splitter.may_begin = False
        if len(connection.pipeline) >= MAX_PIPELINED:
            connection.input_ended = connection.pipeline[-1].close = True
            return
        connection.waiting_since = now = perf_counter()
        connection.arriving = Exchange(connection, now)
        self._head_bytes = self._header_count = 0

    def on_url(self, url: bytes) -> None:
        exchange = self._connection.arriving
        if exchange is not None:
            self._head_bytes += len(url)
            if self._head_bytes <= MAX_HEAD_BYTES:
                exchange.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        exchange = self._connection.arriving
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
        connection, parser = self._connection, self.parser
        exchange = connection.arriving
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
            elif "content-length" in headers:
                exchange.length = int(headers["content-length"])  # digits, or the parser had refused it
        exchange.admitted = True
        self._head_bytes = self._header_count = 0
        if len(self._first) <= MAX_CACHED_BYTES:
            exchange.head = self._first
        if not parser.should_keep_alive():
            exchange.close = True
        connection.input_ended = exchange.close
        connection.app.admit(exchange, self._buffers.buffered)
        connection.pipeline.append(exchange)
        if exchange.early_response is not None or exchange.expects_continue:
            connection.advance()

    def on_body(self, body: bytes) -> None:
        exchange = self._connection.arriving
        if exchange is not None:
            if self._first:  # what was parsed was no head alone
                exchange.head = b""
            received = self.admit_body(exchange, len(body))
            if received is not None:
                received.add(body)

    def on_message_complete(self) -> None:
        connection = self._connection
        exchange = connection.arriving
        if exchange is None or not exchange.admitted:
            return
        connection.arriving = None
        connection.waiting_since = perf_counter()
        self._splitter.await_request()
        if self._header_count and not exchange.close:
            # After a trailer `Connection: close` it would read no further request, without an error.
            self.parser = None
        exchange.complete = True
        received, exchange.received = exchange.received, None
        if received is not None:
            exchange.body = received.take()
        usual = exchange.target == b"/score" and exchange.method == "POST" and not (exchange.close or exchange.http10)
        if exchange.head and usual and exchange.early_response is None:
            connection.app.head_cache.learn(exchange.head, exchange.headers, exchange.body_size)
        connection.advance()


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


def _reject(exchange: Exchange, text: str, where: str = "") -> None:
    exchange.early_response, exchange.close = error_response(400, "bad-request", text, where), True


def _headers_too_large() -> Response:
    return error_response(431, "headers-too-large", "the request's headers are too large")


def _trailers_too_large() -> Response:
    text = "the extensions and trailers of the request's chunks are too large"
    return error_response(431, "headers-too-large", text)
