"""A client that keeps its times: every request is sent when it is due, whether or not the one before was slow.

    python -m tests.benchmarks.serving.open_load URL RATE SECONDS     load at RATE requests a second
    python -m tests.benchmarks.serving.open_load URL 0 SECONDS        capacity: 16 connections, each without a pause

Half of the requests go over kept connections, half over fresh ones. Standard input: one line of JSON, the headers to
send; another line changes them, and is answered by `changed` when no request with the old ones is under way; `null`
ends the load before its time. Standard output: `begun`, and at the end one line of JSON: `Said`. In a process of its
own, so that others' work does not slow it down. A request that finds its kept connection closed before it has sent
anything takes a new one, as clients do.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import urllib.parse
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any

BODY = b'{"data": [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]]}'
ANSWER_SECONDS = 30.0
CAPACITY_CONNECTIONS = 16


@dataclass
class Failure:
    """A request that got no 200: its id, the client's port, when it was sent and failed (monotonic clock), and why.

    `status` is 0 where there was no answer.
    """

    id: str
    port: int
    sent: float
    failed: float
    why: str
    status: int = 0

    @property
    def refused(self) -> bool:
        """Whether the service said that it has too much to do, in time and in form."""
        return self.status == 429


@dataclass
class Said:
    """What the client saw. `milliseconds`: latencies from when they were due; median, 99th percentile, greatest."""

    requests: int = 0
    seconds: float = 0.0
    late: int = 0  # sent more than 50 ms after they were due: the client's own fault
    failures: list[Failure] = field(default_factory=list)
    revisions: list[str] = field(default_factory=list)
    milliseconds: tuple[float, float, float] = (0.0, 0.0, 0.0)


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection with at most one request under way."""

    def __init__(self) -> None:
        self.buffer = b""
        self.answer: asyncio.Future[tuple[int, dict[str, str], bytes]] | None = None
        self.closed = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.port = int(transport.get_extra_info("sockname")[1])

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error or ConnectionResetError("closed by the server"))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, blank, rest = self.buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        if headers.get("connection", "").lower() == "close":
            self.closed = True
        if self.answer is not None and not self.answer.done():
            self.answer.set_result((int(first.split()[1]), headers, rest[:length]))

    async def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await asyncio.wait_for(self.answer, ANSWER_SECONDS)


class Client:
    """Sends requests and notes what became of them."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.url = urllib.parse.urlsplit(url)
        self.idle: list[Connection] = []
        self.said = Said()
        self.latencies: list[float] = []
        self.revisions: set[str] = set()
        self.stopped = False
        self.under_way: dict[str, set[str]] = {}
        self.change(headers)

    def change(self, headers: dict[str, str]) -> str:
        """From now on these headers; the name of the old ones."""
        old = getattr(self, "head", "")
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        self.head = (
            f"POST {self.url.path} HTTP/1.1\r\nhost: {self.url.netloc}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(BODY)}\r\n{''.join(lines)}"
        )
        return old

    async def connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, str(self.url.hostname), int(self.url.port or 80))
        return connection

    async def send(self, due: float, keep: bool) -> None:
        """One request, due at this moment of the monotonic clock."""
        head, name = self.head, uuid.uuid4().hex
        under_way = self.under_way.setdefault(head, set())
        under_way.add(name)
        sent, port, status = time.monotonic(), 0, 0
        self.said.late += sent - due > 0.05
        try:
            connection = None
            while keep and self.idle and (connection is None or connection.closed):
                connection = self.idle.pop()
            if connection is None or connection.closed:
                connection = await self.connect()
            port = connection.port
            close = "" if keep else "connection: close\r\n"
            status, headers, body = await connection.ask(
                f"{head}x-ms-client-request-id: {name}\r\n{close}\r\n".encode() + BODY
            )
            if status != 200:
                raise ValueError(f"{status} {body[:200]!r}")
            self.revisions.add(headers.get("x-mldeploy-revision", ""))
            if keep and not connection.closed:
                self.idle.append(connection)
            else:
                connection.transport.close()
        except (OSError, ValueError, TimeoutError) as error:
            why = f"{type(error).__name__}: {error}"
            self.said.failures.append(Failure(name, port, sent, time.monotonic(), why, status))
        under_way.discard(name)
        self.said.requests += 1
        self.latencies.append(time.monotonic() - due)

    async def at_rate(self, rate: float, seconds: float) -> None:
        begin = time.monotonic()
        sending = set()
        for number in range(int(rate * seconds)):
            if self.stopped:
                break
            due = begin + number / rate
            pause = due - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            task = asyncio.ensure_future(self.send(due, keep=number % 2 == 0))
            sending.add(task)
            task.add_done_callback(sending.discard)
        while sending:
            await asyncio.wait(sending)

    async def without_pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds

        async def one(keep: bool) -> None:
            while time.monotonic() < end:
                await self.send(time.monotonic(), keep)

        await asyncio.gather(*(one(number % 2 == 0) for number in range(CAPACITY_CONNECTIONS)))

    async def obey(self, lines: asyncio.StreamReader) -> None:
        """Changes the headers, or ends the load, when a line says so."""
        while line := await lines.readline():
            said = json.loads(line)
            if said is None:
                self.stopped = True
                return
            old = self.change(said)
            while self.under_way.get(old):
                await asyncio.sleep(0.001)
            print("changed", flush=True)

    def summary(self, seconds: float) -> Said:
        times = sorted(self.latencies)
        if times:
            self.said.milliseconds = (
                times[len(times) // 2] * 1000,
                times[int(len(times) * 0.99)] * 1000,
                times[-1] * 1000,
            )
        self.said.seconds = seconds
        self.said.revisions = sorted(self.revisions)
        return self.said


async def main(url: str, rate: float, seconds: float) -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    client = Client(url, json.loads(await lines.readline()))
    obeying = asyncio.ensure_future(client.obey(lines))
    print("begun", flush=True)
    begin = time.monotonic()
    await (client.at_rate(rate, seconds) if rate else client.without_pause(seconds))
    obeying.cancel()
    print(json.dumps(asdict(client.summary(time.monotonic() - begin))), flush=True)


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))
