"""HTTP connections on sockets that other processes share, and passing them on.

When a worker is replaced, a keep-alive connection must neither be closed in the client's face nor go on
being answered by the old code. So the old worker gives the open socket away, between two requests: the
client sees one connection that never stopped.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

import httptools
import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

KEEP_ALIVE = 75  # seconds that an idle connection is kept
MAX_HEADERS = 64 * 1024  # bytes of a request's line and headers
ACCEPT_AT_ONCE = 100  # connections taken in one turn of the loop
ACCEPT_PAUSE = 0.1  # seconds without accepting when the process is out of descriptors
FLUSH_LOOK = 0.005  # seconds between two looks whether an answer is on its way


class Connection(HttpToolsProtocol):
    """One connection. `owner` says whether it is to be passed on or closed after the present request."""

    def __init__(self, owner: Transport, private: bool) -> None:
        super().__init__(owner.config, owner.state, {"private": private}, owner.loop)
        self.access_log = False  # a script that sets up logging must not turn uvicorn's own access log on
        self.owner = owner
        self.private = private
        self.in_message = False
        self.gone = False
        self._header_bytes = 0

    @property
    def busy(self) -> bool:
        """Whether a request has begun to arrive and its answer is not complete."""
        return self.in_message or (self.cycle is not None and not self.cycle.response_complete) or bool(self.pipeline)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_next()
        if self.owner.leaving:
            self.loop.call_soon(self.leave)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self.owner.check_empty()

    def data_received(self, data: bytes) -> None:
        if self.gone:
            return
        try:
            self._unset_keepalive_if_required()
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")
        if not self.transport or self.transport.is_closing():
            return
        if self._header_bytes > MAX_HEADERS + 65536:
            self._refuse(431, "headers-too-large", "the request's headers are too large")
        elif self.owner.leaving and not self.in_message:
            # What comes after this request is the next worker's: leave it in the socket.
            self.transport.pause_reading()
            self.leave()  # its answer may have been sent before all of it had come
        elif not self.busy and self.timeout_keep_alive_task is None:
            self._wait_for_next()

    def _should_upgrade(self) -> bool:
        """Whether the parser stopped at the head, because the client offers another protocol."""
        return any(name == b"upgrade" for name, _ in self.headers)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Goes on in HTTP/1.1, as a server may. Java's client offers HTTP/2 in every first request, also of a POST."""
        if not self._should_upgrade():  # CONNECT
            self.send_400_response("")
            return
        if self.scope.get("headers_too_large"):
            self._refuse(431, "headers-too-large", "the request's headers are too large")
            return
        head = self.parser.get_method() + b" " + self.url + b" HTTP/" + self.parser.get_http_version().encode()
        for name, value in self.headers:
            if name == b"connection":
                kept = [token.strip() for token in value.split(b",")]
                value = b", ".join(token for token in kept if token.lower() not in (b"upgrade", b"http2-settings"))
            if name != b"upgrade" and (value or name != b"connection"):
                head += b"\r\n" + name + b": " + value
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.in_message = False
        self.data_received(head + b"\r\n\r\n" + rest)

    def _wait_for_next(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def on_message_begin(self) -> None:
        self.in_message = True
        self._header_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._header_bytes += len(url)
        if self._header_bytes <= MAX_HEADERS:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes <= MAX_HEADERS:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._header_bytes > MAX_HEADERS:
            self.scope["headers_too_large"] = True  # type: ignore[typeddict-unknown-key]
            if not self.url or len(self.url) > MAX_HEADERS // 2:
                self.url = b"/"
        self._header_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.in_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.owner.leaving and not self.transport.is_closing():
            self.leave()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "bad-request", "this is not HTTP/1.1, or not whole")

    def leave(self) -> None:
        """Passes the connection on, or closes it, as soon as no request is on it."""
        if self.gone or self.transport.is_closing():
            return
        if self.busy:
            answering = self.cycle is not None and not self.cycle.response_complete
            if self.owner.closing and not answering:  # half a request's head: nobody is kept waiting for the rest
                self.transport.close()
                return
            if self.owner.closing:
                self.cycle.keep_alive = False
            if not self.in_message:
                self.transport.pause_reading()
            return
        if self.owner.closing or self.private:
            self.transport.close()
            return
        if self.transport.get_write_buffer_size():
            self.loop.call_later(FLUSH_LOOK, self.leave)
            return
        self.transport.pause_reading()
        self.gone = True
        self.owner.pass_on(self.transport.get_extra_info("socket").fileno())
        # Closing ours ends nothing: the copy that was sent keeps the connection open.
        self.transport.close()

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = orjson.dumps({"message": message, "error": {"code": code, "where": "", "hint": ""}})
        reason = {400: b"Bad Request", 431: b"Request Header Fields Too Large"}[status]
        label = self.owner.revision.encode("latin-1", "replace")
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\nconnection: close\r\n" % (status, reason)
            + b"x-mldeploy-revision: %s\r\ncontent-length: %d\r\n\r\n" % (label, len(body))
            + body
        )
        self.transport.close()


class Transport:
    """All connections of a worker. Everything but the constructor runs on the loop's thread."""

    def __init__(self, app: Any, listener: socket.socket, revision: str, pass_on: Any) -> None:
        self.config = Config(
            app, http=Connection, ws="none", lifespan="off", interface="asgi3", log_config=None, access_log=False,
            timeout_keep_alive=KEEP_ALIVE,
        )  # fmt: skip
        self.config.load()
        self.state = ServerState()
        self.loop: asyncio.AbstractEventLoop = cast(Any, None)
        self.revision = revision
        self.pass_on = pass_on
        self.leaving = False  # no new connections; those that are here go
        self.closing = False  # ... and are closed, because nobody takes them
        self.empty = asyncio.Event()
        self._listener = listener
        self._accepting = False
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
        task.add_done_callback(self._attaching.discard)

    async def leave(self, closing: bool) -> None:
        """Stops accepting; returns when every connection without a request is passed on (or closed)."""
        self.leaving = True
        self.closing = self.closing or closing
        self.pause()
        while self._attaching:
            await asyncio.wait(self._attaching)
        for connection in self.connections:
            connection.leave()
        while any(not c.busy and not c.gone and not c.transport.is_closing() for c in self.connections):
            await asyncio.sleep(FLUSH_LOOK)
        self.check_empty()

    @property
    def connections(self) -> list[Connection]:
        return cast("list[Connection]", list(self.state.connections))

    def check_empty(self) -> None:
        if self.leaving and not self.state.connections and not self._attaching:
            self.empty.set()

    def _on_readable(self) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return  # another worker was quicker, or the client left
            except OSError:
                # Out of descriptors: the connection waits in the queue, and we do not spin on it.
                self.loop.remove_reader(self._listener.fileno())
                self.loop.call_later(ACCEPT_PAUSE, self._accept_again)
                return
            self.adopt(sock)

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
