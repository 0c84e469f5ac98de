"""Many clients in a process of their own that send slowly, idle, or never read: slow_clients.py PORT KIND COUNT.

Kinds: `head` and `body` send a byte a second until the server ends the connection, `idle` sends nothing, `unread` asks
for large answers and reads none. Prints `open` once all are connected. For each line on its input it prints how many
are still open; at the end of input it prints {status of the answer: connections}, 0 for none, and the shortest life of
a connection in seconds.
"""

from __future__ import annotations

import asyncio
import json
import math
import resource
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from types import TracebackType

HEAD = (
    b"POST /score HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer first-key\r\ncontent-type: application/json\r\n"
)
LARGE = b"GET /score?large=1 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer first-key\r\n\r\n"
CONTENT = {
    "head": b"GET / HTTP/1.1\r\nx: ",
    "body": HEAD + b"content-length: 1000\r\n\r\n",
    "idle": b"",
    "unread": LARGE * 10_000,
}


class SlowClients:
    """They are connected in the context. `open()`: how many still are; `end()`: how they ended.

    `shortest` is known after `end()`: the seconds that the first one to be ended was connected.
    """

    shortest = 0.0

    def __init__(self, port: int, kind: str, count: int) -> None:
        command = [sys.executable, __file__, str(port), kind, str(count)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> SlowClients:
        assert self._read() == "open"
        return self

    def open(self) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._read())

    def end(self) -> dict[str, int]:
        assert self._process.stdin is not None
        self._process.stdin.close()
        found: dict[str, int]
        found, self.shortest = json.loads(self._read())
        return found

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.kill()
        self._process.wait(60)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class Client(asyncio.Protocol):
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.said = b""
        self.over = False
        self.began = time.monotonic()
        self.life = math.inf

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        sock = transport.get_extra_info("socket")
        # Its end leaves no port behind that waits for a minute.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if self.kind == "unread":
            transport.pause_reading()
        if CONTENT[self.kind]:
            transport.write(CONTENT[self.kind])

    def data_received(self, data: bytes) -> None:
        self.said += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True
        self.life = time.monotonic() - self.began

    def slowly(self) -> None:
        if not self.over and self.kind in ("head", "body"):
            self.transport.write(b"1")

    @property
    def status(self) -> int:
        return int(self.said.split()[1]) if self.said.startswith(b"HTTP/1.1 ") else 0


async def main(port: int, kind: str, count: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    clients: list[Client] = []

    def beat() -> None:
        for client in clients:
            client.slowly()
        loop.call_later(1.0, beat)

    beat()
    while len(clients) < count:
        wanted = min(100, count - len(clients))
        made = (loop.create_connection(lambda: Client(kind), "127.0.0.1", port) for _ in range(wanted))
        clients += [client for _, client in await asyncio.gather(*made)]
    print("open", flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        print(sum(not client.over for client in clients), flush=True)
    statuses, shortest = Counter(client.status for client in clients), min(client.life for client in clients)
    print(json.dumps((statuses, shortest)), flush=True)
    for client in clients:
        client.transport.abort()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
