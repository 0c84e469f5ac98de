"""What the generator and its parent say to each other: lines of JSON, and first the plan and the bodies to send.

To the generator, on its standard input:

    {"plan": {...}, "samples": "<file>", "payloads": [[<bytes>, "<media type>"], ...]}     then the bodies
    {"type": "key", "service": 0, "key": "...", "uri": "..."}      or "refused": why nothing may be sent there
    {"type": "cancel"}

From the generator, on its standard output:

    {"type": "progress", "elapsed", "of", "service", "block", "blocks", "services": [{"planned", "sent", "done",
     "failed", "dropped", "p50", "p99"}], "lag_p99"}                          seconds; quantiles in milliseconds
    {"type": "duration", "seconds": 40.0}           of load on each service, where the plan leaves it to the generator
    {"type": "note", "time": 12.3, "service": 0, "kind": "key", "text": "..."}        service -1: the whole run
    {"type": "key", "service": 0}
    {"type": "end", "reason", "elapsed", "rate", "rate_reason", "lag", "blocks", "left_out", "services"}
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mldeploy_jupyter.latency.payloads import Payload
from mldeploy_jupyter.latency.plan import LatencyPlan

_CHUNK = 65536  # bytes


@dataclass(frozen=True)
class Order:
    """The first message."""

    plan: LatencyPlan
    samples: str
    payloads: list[Payload]


def pack_order(order: Order) -> bytes:
    sizes = [[len(payload.body), payload.content_type] for payload in order.payloads]
    head = {"plan": order.plan.to_dict(), "samples": order.samples, "payloads": sizes}
    return b"".join([json.dumps(head).encode(), b"\n", *(payload.body for payload in order.payloads)])


def read_order(read: Callable[[int], bytes]) -> tuple[Order, bytes]:
    """The order, and what arrived after it. `read(n)` waits for at most n bytes. Raises `EOFError` when it is cut."""
    arrived = bytearray()

    def more() -> None:
        data = read(_CHUNK)
        if not data:
            raise EOFError("the order is incomplete")
        arrived.extend(data)

    while b"\n" not in arrived:
        more()
    line, _, rest = bytes(arrived).partition(b"\n")
    head = json.loads(line)
    arrived[:] = rest
    total = sum(size for size, _ in head["payloads"])
    while len(arrived) < total:
        more()
    content, payloads, at = bytes(arrived), [], 0
    for size, content_type in head["payloads"]:
        payloads.append(Payload(content[at : at + size], content_type))
        at += size
    return Order(LatencyPlan.from_dict(head["plan"]), head["samples"], payloads), content[total:]


class LineReader:
    """Cuts what arrives into lines of JSON."""

    def __init__(self, arrived: bytes = b"") -> None:
        self._rest = b""
        self._begin = arrived

    def feed(self, data: bytes = b"") -> list[dict[str, Any]]:
        *lines, self._rest = (self._rest + self._begin + data).split(b"\n")
        self._begin = b""
        return [json.loads(line) for line in lines if line.strip()]


class Outbox:
    """Writes lines to a pipe that nobody may be reading, without ever waiting. Of progress only the last line is kept.

    `flush` writes what the pipe did not take before. Once the reader is gone, lines are dropped.
    """

    def __init__(self, descriptor: int, write: Callable[[int, bytes], int] = os.write) -> None:
        self._descriptor, self._write = descriptor, write
        os.set_blocking(descriptor, False)
        self._lines: deque[bytes] = deque()
        self._progress = b""
        self._part = b""  # of a line that was begun

    def put(self, message: dict[str, Any]) -> None:
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        if message["type"] == "progress":
            self._progress = line
        else:
            self._lines.append(line)
        self.flush()

    def flush(self) -> None:
        """Writes what the pipe takes."""
        while self._part or self._lines or self._progress:
            if not self._part:
                if self._lines:
                    self._part = self._lines.popleft()
                else:
                    self._part, self._progress = self._progress, b""
            try:
                written = self._write(self._descriptor, self._part)
            except BlockingIOError:
                return
            except BrokenPipeError:
                self._part, self._progress = b"", b""
                self._lines.clear()
                return
            self._part = self._part[written:]

    def finish(self) -> None:
        """Writes the rest, and waits for it."""
        os.set_blocking(self._descriptor, True)
        self._progress = b""
        self.flush()
