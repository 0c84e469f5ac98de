"""A worker's connections on a real socket and loop: accepted, adopted, paused, and handed over."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from mldeploy_jupyter.serving.http.acceptor import LOOK_INTERVAL, Acceptor
from mldeploy_jupyter.serving.ipc.scoreboard import (
    ACCEPTING,
    CONNECTIONS,
    IN_FLIGHT,
    LEAVING,
    PID,
    READY,
    REVISION,
    Scoreboard,
    Slot,
)
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.system.listening_socket import open_listener
from mldeploy_jupyter.serving.worker.app import App
from mldeploy_jupyter.serving.worker.connection_sharing import PATIENCE

PROBE = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


class Server:
    """`handed_over` are copies of the sockets that were handed over."""

    def __init__(self) -> None:
        loop, self.scoreboard = asyncio.get_running_loop(), Scoreboard()
        self.slot = self.scoreboard.slot(self.scoreboard.assign_slot())
        self.handed_over: list[socket.socket] = []
        self.listener = open_listener("127.0.0.1", 0)
        self.listener.setblocking(False)
        app = App(Settings(auth_enabled=False, workers=2), self.scoreboard, self.slot, loop)
        self.acceptor = Acceptor(app, loop, self.listener, self._hand_over)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.listener.getsockname())

    def add_worker(self) -> Slot:
        """Another worker that is free, as this one sees it; it accepts nothing."""
        slot = self.scoreboard.slot(self.scoreboard.assign_slot())
        slot.fields[PID] = slot.fields[READY] = slot.state[ACCEPTING] = 1
        slot.fields[REVISION] = self.slot.fields[REVISION]
        return slot

    def _hand_over(self, fd: int) -> None:
        self.handed_over.append(socket.socket(fileno=os.dup(fd)))


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        await server.acceptor.drain(closing=True)
        server.listener.close()
        for sock in server.handed_over:
            sock.close()


def run(test: Callable[[Server], Any]) -> None:
    async def main() -> None:
        async with serving() as server:
            await asyncio.wait_for(test(server), 20)

    asyncio.run(main())


async def probe(client: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
    reader, writer = client
    writer.write(PROBE)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    return await reader.readexactly(len(b"Healthy"))


def test_a_connection_is_served_counted_and_closed() -> None:
    async def test(server: Server) -> None:
        server.acceptor.accept()
        client = await server.connect()
        assert await probe(client) == b"Healthy" and server.slot.fields[CONNECTIONS] == 1
        client[1].close()
        await client[1].wait_closed()
        while server.acceptor.connections:
            await asyncio.sleep(0.01)
        assert server.slot.fields[CONNECTIONS] == 0

    run(test)


def test_a_paused_acceptor_serves_its_connections_and_accepts_no_others() -> None:
    async def test(server: Server) -> None:
        server.acceptor.accept()
        first = await server.connect()
        await probe(first)
        server.acceptor.pause()
        second = await server.connect()  # in the backlog
        waiting = asyncio.create_task(probe(second))
        assert await probe(first) == b"Healthy" and not waiting.done()
        server.acceptor.accept()
        assert await waiting == b"Healthy"
        for _, writer in (first, second):
            writer.close()

    run(test)


def test_another_socket_takes_the_place_of_the_one_before() -> None:
    async def test(server: Server) -> None:
        server.acceptor.accept()
        kept = await server.connect()
        await probe(kept)
        other = open_listener("127.0.0.1", 0)
        address = other.getsockname()
        server.acceptor.listen_on(other)
        assert server.listener.getsockname() == address  # everybody who holds it has the new one
        client = await server.connect()
        assert await probe(client) == b"Healthy" and await probe(kept) == b"Healthy"
        server.acceptor.pause()
        server.acceptor.listen_on(open_listener("127.0.0.1", 0))
        assert not server.acceptor._accepting
        for _, writer in (kept, client):
            writer.close()

    run(test)


def test_draining_hands_over_idle_connections_that_another_acceptor_adopts() -> None:
    async def test(old: Server) -> None:
        old.acceptor.accept()
        client = await old.connect()
        await probe(client)
        async with serving() as new:
            await old.acceptor.drain(closing=False)
            await asyncio.wait_for(old.acceptor.drained.wait(), 5)
            assert len(old.handed_over) == 1
            new.acceptor.adopt(old.handed_over.pop())
            assert await probe(client) == b"Healthy" and new.slot.fields[CONNECTIONS] == 1
            client[1].close()
        old.acceptor.accept()
        assert not old.acceptor._accepting, "a draining acceptor does not accept"

    run(test)


def test_draining_a_service_that_stops_closes_idle_connections() -> None:
    async def test(server: Server) -> None:
        server.acceptor.accept()
        reader, writer = client = await server.connect()
        await probe(client)
        await server.acceptor.drain(closing=True)
        await asyncio.wait_for(server.acceptor.drained.wait(), 5)
        assert await reader.read() == b"" and server.handed_over == []
        writer.close()

    run(test)


def test_a_busy_worker_leaves_a_connection_to_a_free_one_until_it_was_in_vain() -> None:
    async def test(server: Server) -> None:
        other = server.add_worker()
        server.slot.fields[IN_FLIGHT] = 1
        server.acceptor.accept()
        loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        client = await server.connect()
        waiting = asyncio.create_task(probe(client))
        assert await waiting == b"Healthy" and loop.time() - began >= PATIENCE - LOOK_INTERVAL
        other.fields[IN_FLIGHT] = 1
        more = await server.connect()
        assert await probe(more) == b"Healthy"
        for _, writer in (client, more):
            writer.close()

    run(test)


def test_a_connection_that_was_left_is_accepted_as_soon_as_the_worker_is_free() -> None:
    async def test(server: Server) -> None:
        server.add_worker()
        server.slot.fields[IN_FLIGHT] = 1
        server.acceptor.accept()
        client = await server.connect()
        while not server.slot.state[LEAVING]:
            await asyncio.sleep(0)
        server.slot.fields[IN_FLIGHT] = 0
        assert await probe(client) == b"Healthy" and not server.slot.state[LEAVING]
        client[1].close()

    run(test)


def test_what_another_worker_has_taken_is_waited_for_no_longer() -> None:
    async def test(server: Server) -> None:
        server.add_worker()
        server.slot.fields[IN_FLIGHT] = 1
        server.acceptor.accept()
        client = await server.connect()
        while not server.slot.state[LEAVING]:
            await asyncio.sleep(0)
        taken, _ = server.listener.accept()
        while server.slot.state[LEAVING]:
            await asyncio.sleep(0.001)
        taken.close()
        client[1].close()
        server.acceptor.pause()
        assert server.slot.state[ACCEPTING] == 0

    run(test)
