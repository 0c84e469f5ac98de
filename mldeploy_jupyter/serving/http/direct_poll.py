"""Connections that the script's thread serves itself, while calls of `run()` are short.

Handing a request from the loop's thread to the script's and its answer back costs more than a short call. So, under
load, the script's thread waits for requests with a poll of its own, reads them, and writes their answers. The loop's
thread stays what it is: it accepts, reads whatever is unusual, keeps the deadlines, and takes the connections back as
soon as a call is long (`worker.lead`).

Meanwhile two threads touch the server's state (connections, queue, counters, log): each holds `lock` while it does.
"""

from __future__ import annotations

import asyncio
import math
import os
import select
import threading
from collections.abc import Callable
from operator import itemgetter
from time import perf_counter
from typing import Any, Protocol

from ..system import kernel_timer
from ..system.kernel_timer import KernelTimer

READ_BYTES = 65536  # of a request, at first; the rest of a longer body is read into the body's own memory

READ_SECONDS = 0.002  # of reading before answers are due; the loop's thread waits meanwhile

# Seconds that a wait polls before it sleeps. A client that got its answer often asks again within this time, and to
# fall asleep and be woken costs more processor time.
SPIN_SECONDS = 0.00004

SPINS_LEFT_OUT = 20  # waits that sleep at once after a spin in vain: the clients think, or share the processor

LONG_ANSWER = 32_768  # bytes of a body; to copy one behind its head takes longer than to pass both to the kernel

AVAILABLE = hasattr(select, "epoll") and hasattr(os, "eventfd") and kernel_timer.AVAILABLE


class Timers(Protocol):
    """What runs a callback later: a loop, or a `DirectPoll`."""

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Any: ...


class Lendable(Protocol):
    """A connection, as the poll sees it.

    `direct_fd` is its socket while the script's thread serves it, else -1. `returned` has what it has received and not
    sent, from when the script's thread has returned it until the loop's thread has it back. `arriving` is the request
    that is not whole yet, or None.
    """

    transport: asyncio.Transport
    direct_fd: int
    returned: tuple[bytes, bytes | memoryview] | None
    arriving: Any

    def may_be_lent(self) -> bool: ...

    def receive_known(self, data: bytes) -> bool: ...

    def read_body(self, fd: int) -> bool: ...

    def data_received(self, data: bytes) -> None: ...


class DirectPoll:
    """`active`: the script's thread waits here, not at its queue. `on_stopped()` is called when that ends.

    `start`, `wait`, `call_due` and `answer` are for the script's thread, `lend`, `take_back` and `stop` for the loop's,
    which holds the lock. Either may `write` and `run_due`, with the lock, and `look_in`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.lock = threading.RLock()
        self.active = False
        self.on_stopped: Callable[[], None] = lambda: None
        self._loop = loop
        self._closed = not AVAILABLE
        self._is_script_thread = False  # of who holds the lock
        self._due: list[tuple[float, Callable[..., Any], tuple[Any, ...]]] = []
        self._next_due = math.inf
        self._timer: KernelTimer | None = None
        self._connections: dict[int, Lendable] = {}
        self._epoll: Any = None
        self._wakeup = -1
        self._spins_left_out = 0  # how many of the next waits do not spin

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> None:
        """As the loop's, with the lock held around the callback. Either thread may call it, with the lock.

        What the script's thread asks for is called by `run_due`: waking the loop's thread costs more than a request.
        """
        if self._is_script_thread:
            due = perf_counter() + delay
            self._due.append((due, callback, args))
            self._next_due = min(self._next_due, due)
        else:
            self._loop.call_later(delay, self.call, callback, *args)

    def call(self, callback: Callable[..., Any], *args: Any) -> None:
        """Calls it with the lock held."""
        with self.lock:
            callback(*args)

    def write(self, connection: Lendable, answer: bytes) -> None:
        """Sends an answer on a connection that the script's thread serves."""
        try:
            sent = os.write(connection.direct_fd, answer)
        except BlockingIOError:
            sent = 0
        except OSError:  # the client is gone, which the loop's thread will find, too
            self._return(connection)
            return
        if sent < len(answer):
            self._return(connection, unsent=memoryview(answer)[sent:])

    def write_long(self, connection: Lendable, head: bytes, body: bytes) -> None:
        """As `write`, without copying the body."""
        try:
            sent = os.writev(connection.direct_fd, (head, body))
        except BlockingIOError:
            sent = 0
        except OSError:
            self._return(connection)
            return
        if sent < len(head):
            self._return(connection, unsent=head[sent:] + body)
        elif sent < len(head) + len(body):
            self._return(connection, unsent=memoryview(body)[sent - len(head) :])

    # -- the script's thread --------------------------------------------------------------------------

    def start(self, look: Callable[[], None], seconds: float) -> None:
        """Becomes active, unless it was stopped for good.

        `look()` is called on the loop's thread in so many seconds, and again when `look_in` asks for it.
        """
        with self.lock:
            if self._timer is None and not self._closed:
                self._prepare(look)
            if self._closed:
                return
            self.active = True
        self.look_in(seconds)

    def _prepare(self, look: Callable[[], None]) -> None:
        try:
            self._timer, self._epoll = KernelTimer(), select.epoll()
            self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        except OSError:  # no descriptors are left: the loop's thread goes on alone
            self._closed = True
            return
        self._epoll.register(self._wakeup, select.EPOLLIN)
        self._loop.call_soon_threadsafe(self._loop.add_reader, self._timer.fd, self._on_timer, look)

    def look_in(self, seconds: float) -> None:
        """The next look comes in so many seconds, and not when it would have come."""
        assert self._timer is not None
        self._timer.set(seconds)

    def call_due(self, now: float) -> None:
        """Calls what is due now, of what this thread wants to be called."""
        if self._next_due <= now:
            self.answer(lambda: self.run_due(now))

    def wait(self, block: bool) -> None:
        """Reads the requests that have arrived; if `block`, as soon as there is one, or `wake` is called.

        Long bodies may be left for the next time, which finds them again.
        Raises what a signal handler of the script's raises. A connection that it interrupts is closed.
        """
        poll = self._epoll.poll
        events = poll(0) or (block and (self._spin() or poll(-1)))
        if not events:
            return
        with self.lock:
            self._is_script_thread = True
            limit = perf_counter() + READ_SECONDS
            find = self._connections.get
            try:
                for fd, _ in events:
                    connection = find(fd)
                    if connection is not None:
                        self._receive(connection)
                    elif fd == self._wakeup:
                        os.eventfd_read(fd)
                    if perf_counter() > limit:
                        break
            finally:
                self._is_script_thread = False

    def _spin(self) -> list[tuple[int, int]]:
        """Polls for a moment without sleeping, unless that was in vain lately. Returns what has arrived."""
        if self._spins_left_out:
            self._spins_left_out -= 1
            return []
        poll, limit = self._epoll.poll, perf_counter() + SPIN_SECONDS
        events: list[tuple[int, int]] = poll(0)
        while not events and perf_counter() < limit:
            events = poll(0)
        if not events:
            self._spins_left_out = SPINS_LEFT_OUT
        return events

    def answer(self, send: Callable[[], None]) -> None:
        """Calls `send` with the lock held."""
        with self.lock:
            self._is_script_thread = True
            try:
                send()
            finally:
                self._is_script_thread = False

    def _receive(self, connection: Lendable) -> None:
        fd = connection.direct_fd
        try:
            if connection.arriving is None:
                try:
                    data = os.read(fd, READ_BYTES)
                except BlockingIOError:
                    return
                except OSError:
                    data = b""
                if not data or not connection.receive_known(data):
                    self._return(connection, received=data)
                    return
                if connection.arriving is None or len(data) < READ_BYTES:
                    return
            if not connection.read_body(fd):
                self._return(connection)
        except BaseException:
            self.drop(connection)
            raise

    def drop(self, connection: Lendable) -> None:
        """Closes a connection on which something was interrupted, so that its client does not wait."""
        if connection.direct_fd >= 0:
            self._return(connection)
        self._loop.call_soon_threadsafe(self.call, connection.transport.abort)

    def _return(self, connection: Lendable, received: bytes = b"", unsent: bytes | memoryview = b"") -> None:
        self._forget(connection)
        connection.returned = received, unsent
        self._loop.call_soon_threadsafe(self.call, self.take_back, connection)

    def _forget(self, connection: Lendable) -> None:
        fd, connection.direct_fd = connection.direct_fd, -1
        del self._connections[fd]
        self._epoll.unregister(fd)

    # -- the loop's thread ----------------------------------------------------------------------------

    def _on_timer(self, look: Callable[[], None]) -> None:
        assert self._timer is not None
        self._timer.clear()
        self.call(look)

    def lend(self, connection: Lendable) -> None:
        """Lets the script's thread serve a connection from now on, if it can."""
        if not self.active or not connection.may_be_lent() or connection.transport.get_write_buffer_size():
            return
        fd = connection.transport.get_extra_info("socket").fileno()
        connection.transport.pause_reading()
        connection.direct_fd = fd
        self._connections[fd] = connection
        self._epoll.register(fd, select.EPOLLIN)

    def take_back(self, connection: Lendable) -> None:
        """Serves a connection on the loop again. Does nothing if it is there."""
        if connection.direct_fd >= 0:
            self._forget(connection)
            received: bytes = b""
            unsent: bytes | memoryview = b""
        elif connection.returned is not None:
            received, unsent = connection.returned
            connection.returned = None
        else:
            return
        if connection.transport.is_closing():
            return
        if unsent:
            connection.transport.write(unsent)
        connection.transport.resume_reading()
        if received:
            connection.data_received(received)

    def run_due(self, limit: float) -> None:
        """Calls what is due until then, of what the script's thread wants to be called. Either thread, with the lock.

        What the exception of a signal handler interrupts is called again.
        """
        while self._due:
            entry = min(self._due, key=itemgetter(0))
            self._next_due, callback, arguments = entry
            if self._next_due > limit:
                return
            callback(*arguments)
            self._due.remove(entry)
        self._next_due = math.inf

    def stop(self, for_good: bool = False) -> None:
        """Takes all connections back. The script's thread waits at its queue again; `for_good`: from now on."""
        with self.lock:
            self._closed = self._closed or for_good
            if self.active:
                self.active = False
                for connection in list(self._connections.values()):
                    self.take_back(connection)
                self.wake()
                now, due = perf_counter(), self._due
                self._due, self._next_due = [], math.inf
                for time, callback, args in due:
                    self.call_later(max(0.0, time - now), callback, *args)
                self.on_stopped()

    def wake(self) -> None:
        """Makes `wait` return, or not wait at all. Any thread may call it while the poll is active.

        While the script's thread reads or answers, nothing is written: it looks at its queue before it waits again.
        """
        if not self._is_script_thread:
            os.eventfd_write(self._wakeup, 1)
