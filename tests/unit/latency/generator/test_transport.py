"""Real sockets on one loop: what the transport does beside reading and writing."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from time import monotonic

import pytest
import uvloop

from mldeploy_jupyter.latency.generator import receive_clock
from mldeploy_jupyter.latency.generator.transport import Receiver, StampedTransport, open_connection

BLOCKED = 0.02  # seconds in which the loop reads nothing

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's stamps are Linux's")


class Client(Receiver):
    def __init__(self) -> None:
        self.data = bytearray()
        self.arrived: list[float] = []
        self.lost: list[Exception | None] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def receive(self, data: bytes | memoryview, arrived: float) -> None:
        self.data += data
        self.arrived.append(arrived)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.append(error)


def with_client(test: Callable[[Client, socket.socket], Awaitable[None]]) -> None:
    """Runs the test with a client and the other end of its connection, which blocks."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = Client()
            await open_connection(asyncio.get_running_loop(), *server.getsockname(), None, client)
            accepted, _ = server.accept()
            with accepted:
                await asyncio.wait_for(test(client, accepted), 20)
                client.transport.abort()
                await until(lambda: client.lost)
                assert len(client.lost) == 1

    uvloop.run(main())


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def block_loop() -> float:
    """Returns when it began."""
    begin = monotonic()
    while monotonic() < begin + BLOCKED:
        pass
    return begin


@linux
def test_a_loop_that_is_late_to_read_does_not_make_the_answer_late() -> None:
    async def test(client: Client, service: socket.socket) -> None:
        for _ in range(100):  # the kernel begins to take stamps a moment after it was asked
            client.data.clear()
            service.send(b"answer")
            begin = block_loop()
            await until(lambda: client.data)
            if client.arrived[-1] < begin + BLOCKED / 2:
                break
        assert client.arrived[-1] == pytest.approx(begin, abs=BLOCKED / 4)

    with_client(test)


@pytest.mark.parametrize("platform", ["linux", "another"])
def test_what_does_not_fit_into_the_socket_follows(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive_clock.sys, "platform", platform)
    body = os.urandom(8_000_000)

    async def test(client: Client, service: socket.socket) -> None:
        assert isinstance(client.transport, StampedTransport) == (platform == "linux")
        got = bytearray()

        def read() -> None:
            while len(got) < len(body) + 4:
                got.extend(service.recv(1 << 20))

        reader = threading.Thread(target=read)
        client.transport.write(body)
        client.transport.write(b"next")
        reader.start()
        await until(lambda: not reader.is_alive())
        assert got == body + b"next"
        service.sendall(body[:1_000_000])
        await until(lambda: len(client.data) == 1_000_000)
        assert client.data == body[:1_000_000]

    with_client(test)


@linux
def test_a_connection_whose_other_end_goes_is_lost_once() -> None:
    async def closed(client: Client, service: socket.socket) -> None:
        service.close()
        await until(lambda: client.lost)
        assert client.lost == [None]
        client.transport.write(b"too late")

    async def reset(client: Client, service: socket.socket) -> None:
        client.transport.write(b"never read")
        service.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        service.close()
        await until(lambda: client.lost)
        assert isinstance(client.lost[0], ConnectionResetError)

    async def broken(client: Client, service: socket.socket) -> None:
        service.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        service.close()
        client.transport.write(b"nobody is there")
        assert client.lost == []  # whoever writes is not called back before it has written
        await until(lambda: client.lost)

    for test in (closed, reset, broken):
        with_client(test)


def test_nobody_listens() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = server.getsockname()
        with pytest.raises(OSError, match="Connection refused"):
            await open_connection(asyncio.get_running_loop(), *address, None, Client())

    uvloop.run(main())
