"""A service whose delays are known: it makes them on purpose, and measures each itself.

    python -m tests.benchmarks.latency.server WORDS...

Each answer has the delay of the profile, from when the request reached this machine's socket to when the answer is
given to it:

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
import socket
import struct
import sys
from collections.abc import Callable
from time import monotonic, time

from mldeploy_jupyter.latency.generator.alarm import Alarm

SO_TIMESTAMPNS = 35  # <asm-generic/socket.h>; Python does not name it

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
            connection.close()
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
        # The clock first: a client that the call wakes may take this core before it returns.
        self.delays.append((monotonic() - received) * 1000)
        connection.write(self.answer)


class Connection:
    """The kernel notes when bytes arrive: from then on a client waits, also while this process wakes up."""

    def __init__(self, server: Server, connected: socket.socket) -> None:
        self.server = server
        self.socket = connected
        self.buffer = b""
        self.loop = asyncio.get_running_loop()
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.loop.add_reader(connected, self.read)

    def close(self) -> None:
        self.loop.remove_reader(self.socket)
        self.socket.close()

    def write(self, answer: bytes) -> None:
        try:
            self.socket.send(answer)
        except OSError:  # the client has gone
            pass

    def read(self) -> None:
        try:
            data, notes, _, _ = self.socket.recvmsg(65536, 64)
        except BlockingIOError:
            return
        except OSError:
            data, notes = b"", []
        if not data:
            self.close()
            return
        arrived = monotonic()
        for level, kind, value in notes:
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("=qq", value)
                arrived -= time() - (seconds + nanoseconds / 1e9)
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
            self.server.receive(self, arrived)


async def main(words: list[str]) -> None:
    loop = asyncio.get_running_loop()
    server = Server(words)
    listening = socket.create_server(("127.0.0.1", int(os.environ.get("PORT", "0"))), backlog=1024)
    listening.setblocking(False)

    def accept() -> None:
        try:
            connected, _ = listening.accept()
        except BlockingIOError:
            return
        Connection(server, connected)

    loop.add_reader(listening, accept)
    print(listening.getsockname()[1], flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        if line.strip() == b"count":
            print(len(server.delays), flush=True)
        else:
            print(json.dumps(server.delays), flush=True)
            server.delays = []


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
