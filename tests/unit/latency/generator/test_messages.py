from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from mldeploy_jupyter.latency.generator.messages import LineReader, Order, Outbox, pack_order, read_order
from mldeploy_jupyter.latency.payloads import Payload
from mldeploy_jupyter.latency.plan import LatencyPlan, PlannedService

PLAN = LatencyPlan((PlannedService("ridge", "http://127.0.0.1:1/score"),), ramp=(1.0, 2.0))
ORDER = Order(
    PLAN, "/somewhere/samples.bin", [Payload(b"\n\x00\n", "image/png"), Payload(b""), Payload(b"x" * 200_000)]
)


@pytest.mark.parametrize("piece", [1_000_000, 4096, 7])
def test_an_order_is_read_however_it_arrives_and_what_follows_is_kept(piece: int) -> None:
    data = pack_order(ORDER) + b'{"type": "cancel"}\n'
    pieces = iter([data[at : at + piece] for at in range(0, len(data), piece)])
    order, rest = read_order(lambda count: next(pieces))
    assert order == ORDER
    reader = LineReader(rest)
    messages = reader.feed() + [message for each in pieces for message in reader.feed(each)]
    assert messages == [{"type": "cancel"}]


def test_an_order_that_is_cut_begins_nothing() -> None:
    pieces = iter([pack_order(ORDER)[:-1], b""])
    with pytest.raises(EOFError):
        read_order(lambda count: next(pieces))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for descriptor in (read, write):
        try:
            os.close(descriptor)
        except OSError:
            pass


def test_nobody_reads_and_the_sender_does_not_wait(pipe: tuple[int, int]) -> None:
    read, write = pipe
    outbox = Outbox(write)
    for number in range(5000):
        outbox.put({"type": "progress", "number": number, "fill": "x" * 100})
    outbox.put({"type": "note", "text": "kept"})
    found = LineReader(os.read(read, 1 << 20)).feed()
    assert [message["number"] for message in found] == list(range(len(found))) and len(found) < 5000
    outbox.finish()
    rest: list[dict[str, Any]] = LineReader(b"").feed(os.read(read, 1 << 20).partition(b"\n")[2])
    assert rest == [{"type": "note", "text": "kept"}]


def test_the_last_progress_waits_for_the_reader(pipe: tuple[int, int]) -> None:
    read, write = pipe
    outbox = Outbox(write)
    for number in range(5000):
        outbox.put({"type": "progress", "number": number, "fill": "x" * 100})
    os.read(read, 1 << 20)
    outbox.flush()
    lines = os.read(read, 1 << 20).splitlines()
    assert json.loads(lines[-1])["number"] == 4999 and len(lines) == 2  # the rest of a line, and the last one


def test_a_reader_that_is_gone_is_no_error(pipe: tuple[int, int]) -> None:
    read, write = pipe
    os.close(read)
    outbox = Outbox(write)
    outbox.put({"type": "note"})
    outbox.finish()
