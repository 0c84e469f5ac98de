"""A service whose delays are known: it makes them on purpose, and measures each itself.

    python -m tests.benchmarks.latency.server WORDS...

Each answer has the delay of the profile, from when the request was complete to when the answer was written:

    fixed MS                every answer takes MS milliseconds
    bimodal MS MS SHARE     the second one for a SHARE of the answers
    stall MS STALL EVERY    MS, but nothing is answered in the first STALL milliseconds of every EVERY milliseconds
    status CODE MS          every answer has this status; 429 and 503 with Retry-After
    hang                    never answers
    close                   closes the connection instead of an answer

Standard output: one line with the port. Standard input: a line `read` is answered with one line of JSON, the delays in
milliseconds since the last one, in the order of the answers; `count` with their number. It ends with its input.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import os
import random
import sys
from collections.abc import Callable
from time import monotonic
from typing import Any, cast

from mldeploy_jupyter.latency.generator.alarm import Alarm

BODY = b'{"answer": 42}'


class Server:
    def __init__(self, words: list[str]) -> None:
        self.kind, numbers = words[0], [float(word) for word in words[1:]]
        self.numbers = numbers
        self.draw = random.Random(7)
        self.begin = monotonic()
        self.delays: list[float] = []  # milliseconds
        self.waiting: list[tuple[float, int, float, Connection]] = []
        self.number = 0
        status = int(numbers[0]) if self.kind == "status" else 200
        retry = "retry-after: 1\r\n" if status in (429, 503) else ""
        self.answer = (
            f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{retry}x-mldeploy-revision: 1-a\r\n"
            f"content-length: {len(BODY)}\r\n\r\n"
        ).encode() + BODY
        self.alarm = Alarm(asyncio.get_running_loop(), self.ring)
        self.due: Callable[[float], float] = getattr(self, f"due_{self.kind}")

    def due_fixed(self, now: float) -> float:
        return now + self.numbers[0] / 1000

    def due_status(self, now: float) -> float:
        return now + self.numbers[1] / 1000

    def due_bimodal(self, now: float) -> float:
        first, second, share = self.numbers
        return now + (second if self.draw.random() < share else first) / 1000

    def due_stall(self, now: float) -> float:
        delay, stall, every = (number / 1000 for number in self.numbers)
        at = now + delay
        into = (at - self.begin) % every
        return at + (stall - into) if into < stall else at

    def due_hang(self, now: float) -> float:
        return now + 1e6

    def due_close(self, now: float) -> float:
        return now

    def receive(self, connection: Connection, now: float) -> None:
        if self.kind == "close":
            connection.transport.close()
            return
        due = self.due(now)
        if due <= now:
            self.write(connection, now)
            return
        self.number += 1
        heapq.heappush(self.waiting, (due, self.number, now, connection))
        if self.waiting[0][1] == self.number:
            self.alarm.set(due)

    def ring(self) -> None:
        while self.waiting and self.waiting[0][0] <= monotonic():
            _, _, received, connection = heapq.heappop(self.waiting)
            self.write(connection, received)
        if self.waiting:
            self.alarm.set(self.waiting[0][0])

    def write(self, connection: Connection, received: float) -> None:
        connection.transport.write(self.answer)
        self.delays.append((monotonic() - received) * 1000)


class Connection(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self.server = server
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        now = monotonic()
        self.buffer += data
        while True:
            head, blank, rest = self.buffer.partition(b"\r\n\r\n")
            if not blank:
                return
            lines = [line.lower().partition(b":") for line in head.split(b"\r\n")]
            length = next((int(value) for name, _, value in lines if name == b"content-length"), 0)
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            self.server.receive(self, now)


async def main(words: list[str]) -> None:
    loop = asyncio.get_running_loop()
    server = Server(words)
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", int(os.environ.get("PORT", "0")))
    print(listening.sockets[0].getsockname()[1], flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        if line.strip() == b"count":
            print(len(server.delays), flush=True)
        else:
            print(json.dumps(server.delays), flush=True)
            server.delays = []


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))  # its transports send when they are told to; those of uvloop do so a little later
