"""Reading HTTP/1.1: what comes on a connection in, requests out.

httptools (Node's llhttp) parses, and is strict about what makes two servers disagree on where a request ends.
What it leaves to a server is done here: limits, `Expect`, one `Host`, offers of another protocol. A head that came
before needs no parser (`heads.py`).
"""

from __future__ import annotations

import traceback
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import httptools

from . import output
from .exchange import Exchange
from .failure import describe
from .heads import Head
from .messages import Response, problem

if TYPE_CHECKING:
    from .connection import Connection

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
            output.log(text, level="error", traceback="".join(traceback.format_exception(error)))
            connection.refuse(problem(500, "server-failed", "the server failed; the entry script is not at fault"))
            return False
        except httptools.HttpParserError:
            connection.refuse(problem(400, "bad-request", "this is not HTTP/1.1, or not whole"))
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
                x.early, x.close = problem(400, "bad-request", f"the header {key} came twice", key), True
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
            self.connection.refuse((x and x.early) or problem(400, "bad-request", text))
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
            x.early, x.close = problem(400, "bad-request", "the request's target is no path", "target"), True
        return
    path = (parts.path or b"/").decode("latin-1")
    x.path = unquote(path) if "%" in path else path
    x.query = (parts.query or b"").decode("latin-1")


def _headers_too_large() -> Response:
    return problem(431, "headers-too-large", "the request's headers are too large")
