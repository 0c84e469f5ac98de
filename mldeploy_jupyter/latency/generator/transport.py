"""Opens connections. Where the kernel timestamps received bytes, their sockets are read here and not by the loop."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from time import monotonic

from mldeploy_jupyter.latency.generator.receive_clock import NOTES_BYTES, ReceiveClock, find_stamp, request_stamps

_buffer = memoryview(bytearray(256 * 1024))  # of all connections: what was read is parsed before the next one reads

_clock = ReceiveClock()


class Receiver(asyncio.Protocol):
    """A protocol that is told when its bytes arrived; without a timestamp, that is when they were read."""

    __slots__ = ()

    def receive(self, data: bytes | memoryview, arrived: float) -> None:
        """`data` is valid during this call only. `arrived` is a moment of the monotonic clock."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        self.receive(data, monotonic())


async def open_connection(
    loop: asyncio.AbstractEventLoop, host: str, port: int, tls: ssl.SSLContext | None, receiver: Receiver
) -> None:
    """Connects, and calls `connection_made`. With TLS the loop reads: the kernel cannot know where an answer ends.

    Raises:
        OSError: No address of the host answered.
    """
    connected = await _connect(loop, host, port)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is None and request_stamps(connected):
            receiver.connection_made(StampedTransport(loop, connected, receiver))
        else:
            name = host if tls else None
            await loop.create_connection(lambda: receiver, sock=connected, ssl=tls, server_hostname=name)
    except BaseException:
        connected.close()
        raise


async def _connect(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    failure = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connected = socket.socket(family, kind, protocol)
        connected.setblocking(False)
        try:
            await loop.sock_connect(connected, address)
        except OSError as error:
            failure = (
                OSError(error.errno, os.strerror(error.errno)) if error.errno else error
            )  # a loop has its own words
            connected.close()
        except BaseException:
            connected.close()
            raise
        else:
            return connected
    raise failure


class StampedTransport(asyncio.Transport):
    """Of a TCP socket with stamps. It sends during `write`, where the transports of loops may wait for other events."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connected: socket.socket, receiver: Receiver) -> None:
        super().__init__()
        self._loop, self._socket, self._receiver = loop, connected, receiver
        self._unsent = memoryview(b"")
        self._closed = False
        loop.add_reader(connected, self._read)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """What does not fit into the socket follows as soon as it does."""
        if self._closed:
            return
        if self._unsent:
            self._unsent = memoryview(self._unsent.tobytes() + data)
            return
        self._unsent = memoryview(data)
        self._send()
        if self._unsent:
            self._loop.add_writer(self._socket, self._send_more)

    def _send_more(self) -> None:
        self._send()
        if not self._unsent and not self._closed:
            self._loop.remove_writer(self._socket)

    def _send(self) -> None:
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self._close(error)

    def _read(self) -> None:
        try:
            size, notes, _, _ = self._socket.recvmsg_into([_buffer], NOTES_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._close(error)
            return
        if size:
            self._receiver.receive(_buffer[:size], _clock.convert(find_stamp(notes)))
        else:
            self._close(None)

    def close(self) -> None:
        """Closes at once: whoever asks for it has the whole answer."""
        self._close(None)

    def abort(self) -> None:
        self._close(None)

    def is_closing(self) -> bool:
        return self._closed

    def _close(self, error: Exception | None) -> None:
        if self._closed:
            return
        self._closed, self._unsent = True, memoryview(b"")
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._loop.call_soon(self._receiver.connection_lost, error)
