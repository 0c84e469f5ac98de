"""One HTTP/1.1 connection: reads requests, answers them in order, and keeps their deadlines.

No task, coroutine or future is made for a request. A head that was accepted before is recognised by its bytes
(`head_cache`); everything else goes through a parser (`request_reader`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol, cast

from ..scoring.messages import Response, error_response
from .application import Application
from .body import LONG, LongBody, new_body
from .body_protocol import BodyProtocol
from .direct_poll import LONG_ANSWER
from .exchange import Exchange, KnownExchange
from .head_cache import CachedHead
from .request_reader import MAX_UNREAD, RequestReader

MIN_UPLOAD_RATE = 4096  # bytes of a body a second; a client that keeps this rate may exceed settings.body_timeout

LINGER_SECONDS = 2.0  # how long a client may take to read the last answer before the connection is closed

LINGER_BYTES = MAX_UNREAD  # read and discarded after a refusal

FLUSH_INTERVAL = 0.005  # seconds between two checks whether an answer has been written

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
        self._known_head: CachedHead | None = None  # the last cached head of a request here
        self.direct_fd = -1
        self.returned: tuple[bytes, bytes | memoryview] | None = None  # see `direct_poll.Lendable`
        self._unsent = 0  # bytes in the transport's buffer at the last check

        # Current requests
        self.arriving: Exchange | None = None  # not complete yet
        self.pipeline: deque[Exchange] = deque()  # requests with complete headers; the first is answered next
        self._advancing = False
        self._reader = RequestReader(self)

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
        # This breaks the cycles, so that all three are freed without a garbage collection.
        self._reader.parser = None
        self._reader = cast(RequestReader, None)
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
            self._await_long_body()
            return
        if self.lingering_since or (self.input_ended and self.arriving is None):
            # Nothing more is answered, but a client that is still writing must be able to, or it never reads.
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.transport.abort()
            return
        if not self._reader.receive(data, lone):
            return
        self._await_long_body()
        self._end_turn()

    def _await_long_body(self) -> None:
        """Lets the transport write into the memory of the body that arrives, if much of it is still to come."""
        body, exchange = self.long_body, self.arriving
        if body is not None and exchange is not None and exchange.length - exchange.body_size >= LONG:
            self._reader.skip_body(exchange)
            self.transport.set_protocol(BodyProtocol(self))

    def _end_turn(self) -> None:
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
            self.refuse(error_response(400, "bad-request", "the request is not whole: the connection ended in it"))
        if self.pipeline:
            self.pipeline[-1].close = True
            return True
        return False

    @property
    def long_body(self) -> LongBody | None:
        """The body that arrives, if it is received into its own memory."""
        received = self.arriving.received if self.arriving is not None else None
        return received if isinstance(received, LongBody) else None

    def body_received(self, size: int) -> None:
        """So many more bytes are in the memory of `long_body`."""
        with self.app.direct.lock:
            exchange = self.arriving
            if exchange is None:
                return
            received = self._reader.admit_body(exchange, size)
            if isinstance(received, LongBody):
                received.advance(size)
            if received is None or exchange.body_size == exchange.length:
                self.transport.set_protocol(self)
            self._reader.end_body(exchange)
            self._end_turn()

    def pause_writing(self) -> None:
        self._writing_paused = True
        self.waiting_since, self._unsent = perf_counter(), self.transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        with self.app.direct.lock:
            self._writing_paused = False
            self.waiting_since = perf_counter()
            self.advance()

    # -- requests in ----------------------------------------------------------------------------------

    def receive_known(self, data: bytes) -> bool:
        """Handles `data` if it is a request whose head is cached, or its first part, and no other request is here."""
        app, owner, pipeline = self.app, self.owner, self.pipeline
        head = app.head_cache.find(data, self._known_head)
        if head is None or pipeline or self.arriving is not None:
            return False
        if owner.buffered + head.length > app.max_buffered:
            return False  # the parser refuses it
        self.waiting_since = now = perf_counter()
        exchange: Exchange
        if len(data) - head.size == head.length:
            exchange = KnownExchange(self, now, head.headers, data[head.size :])
        else:
            exchange = self._begin_known(head, data, now)
        exchange.known, self._known_head = self._known_head is not None, head
        owner.buffered += exchange.buffered
        app.generate_request_id(exchange)
        pipeline.append(exchange)
        if exchange.complete:
            app.handle_known(exchange)
        return True

    def read_body(self, fd: int) -> bool:
        """Reads more of the body of a request whose head is cached. False: the loop's thread must go on with it.

        The script's thread calls it while it serves this connection.
        """
        exchange, owner = self.arriving, self.owner
        if exchange is None or exchange.received is None:
            return False
        missing = exchange.length - exchange.body_size
        if self.app.check_body_size(exchange.length, owner.buffered - exchange.buffered) is not None:
            return False
        try:
            size = exchange.received.read(fd, missing)
        except BlockingIOError:
            return True
        except OSError:
            return False
        exchange.body_size += size
        exchange.buffered += size
        owner.buffered += size
        self._reader.end_body(exchange)
        return size > 0

    def may_be_lent(self) -> bool:
        """Whether the script's thread may serve it: the next thing to arrive is the first byte of a request."""
        stays = self.idle and not (self.input_ended or self.private or self.owner.draining)
        paused = self._reading_paused or self._writing_paused or self.returned is not None
        return stays and not paused and self.direct_fd < 0

    def _begin_known(self, head: CachedHead, data: bytes, now: float) -> Exchange:
        """The request that begins in `data`, whose head is cached. The rest of its body is still to come."""
        self.arriving = exchange = Exchange(self, now, head.headers)
        exchange.method, exchange.path, exchange.target = "POST", "/score", b"/score"
        exchange.length, exchange.unparsed = head.length, True
        exchange.body_size = exchange.buffered = len(data) - head.size
        self._reader.skip_head()
        exchange.received = new_body(head.length)
        if exchange.buffered:
            exchange.received.add(memoryview(data)[head.size :])
        return exchange

    # -- answers out ----------------------------------------------------------------------------------

    def advance(self) -> None:
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
        if not pipeline or pipeline[0] is not exchange:
            return
        if self.direct_fd >= 0:  # then this is the only request, and the connection stays open
            pipeline.popleft()
            if len(body) < LONG_ANSWER:
                direct.write(self, head + b"\r\n" + body)
            else:
                direct.write_long(self, head + b"\r\n", body)
            return
        if self.transport.is_closing() or self.lingering_since:
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
        if exchange.method == "HEAD":
            self.transport.write(head)
        elif len(body) < LONG_ANSWER:
            self.transport.write(head + body)
        else:
            self.transport.writelines((head, body))
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
                self.advance()

    def send_direct(self, exchange: Exchange, answer: bytes) -> None:
        """As `send`, with head and body in one, on a connection that the script's thread serves."""
        self.owner.buffered -= exchange.buffered
        exchange.buffered = 0
        pipeline = self.pipeline
        if pipeline and pipeline[0] is exchange:
            pipeline.popleft()
            self.app.direct.write(self, answer)

    def refuse(self, response: Response) -> None:
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
        self.advance()

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
                self.refuse(error_response(408, "request-timeout", text))
        elif exchange is not None:
            if waited > settings.body_timeout + exchange.body_size / MIN_UPLOAD_RATE:
                self.app.direct.take_back(self)
                if self.arriving is exchange:
                    text = f"the body did not come within {waited:.0f} s"
                    self.refuse(error_response(408, "request-timeout", text, "body"))
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


def _is_rest_short(exchange: Exchange) -> bool:
    """Whether the rest of a refused body may be read and discarded, so that the connection can stay open."""
    headers = exchange.headers
    length = headers.get("content-length", "" if "transfer-encoding" in headers else "0")
    return not exchange.expects_continue and length.isdigit() and int(length) <= LINGER_BYTES
