"""One connection: deadlines, the end, handing over, and requests that other servers misread (request smuggling)."""

from __future__ import annotations

import gc
import weakref
from time import perf_counter

import pytest

from mldeploy_jupyter.serving.http.connection import LINGER_BYTES, LINGER_SECONDS, MIN_UPLOAD_RATE
from tests.fuzz.properties import read_by_h11
from tests.fuzz.wire import Bench, answers

HEAD = b"POST /score HTTP/1.1\r\nhost: x\r\n"
NEXT = b"GET /score HTTP/1.1\r\nhost: x\r\n\r\n"
TRAPS = {
    "bare LF ends a header": HEAD + b"x: y\ncontent-length: 3\r\n\r\nabc" + NEXT,
    "bare LF ends the head": HEAD + b"content-length: 3\r\n\nabc" + NEXT,
    "bare CR before a header": HEAD + b"x: y\rcontent-length: 3\r\n\r\nabc" + NEXT,
    "LF in a chunk's extension": HEAD + b"transfer-encoding: chunked\r\n\r\n3;a\nabc\r\n0\r\n\r\n" + NEXT,
    "a chunk without its end": HEAD + b"transfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n" + NEXT,
    "a chunk that ends with LF": HEAD + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n" + NEXT,
    "space behind a chunk's size": HEAD + b"transfer-encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n" + NEXT,
    "vertical tab before chunked": HEAD + b"transfer-encoding:\x0bchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + NEXT,
    "chunked in another case": HEAD + b"Transfer-Encoding: cHuNkEd\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + NEXT,
    "an underscore in a length": HEAD + b"content-length: 1_0\r\n\r\n" + NEXT,
    "a digit that is not ASCII": HEAD + b"content-length: \xd9\xa3\r\n\r\nabc" + NEXT,
    "chunked in HTTP/1.0": b"POST /score HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n"
    b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + NEXT,
    "a body for GET": b"GET /score HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(NEXT) + NEXT,
}


@pytest.mark.parametrize("data", TRAPS.values(), ids=TRAPS)
def test_a_smuggled_request_is_read_as_h11_reads_it_or_refused(data: bytes) -> None:
    bench = Bench()
    try:
        bench.feed(data)
        bench.finish()
        ours = [(method, target, body) for method, target, body, status in bench.app.answered if status == 200]
        found = answers(bytes(bench.socket.sent), [method for method, *_ in bench.app.answered])
        refused = found[-1][0] == 400
        assert ours == read_by_h11(data)[0][: len(ours)]
        assert refused is bench.over, "a refusal ends the connection"
        assert refused or len(ours) == len(read_by_h11(data)[0])
    finally:
        bench.end()


POST = b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"


def statuses(bench: Bench) -> list[int]:
    return [status for status, _, _ in answers(bytes(bench.socket.sent), [])]


@pytest.mark.parametrize(
    ("data", "seconds", "in_time"),
    [
        (b"POST /sco", 10, 408),
        (POST % 5 + b"hel", 20, 408),
        (POST % 900 + b"x" * 800, 20 + 800 / MIN_UPLOAD_RATE, 408),
        (b"", 75, None),
    ],
    ids=["head", "body", "fast body", "idle"],
)
def test_a_client_that_is_too_slow_is_refused_and_an_idle_one_is_closed(
    data: bytes, seconds: float, in_time: int | None
) -> None:
    bench = Bench()
    try:
        bench.feed(data)
        since = bench.connection.waiting_since
        bench.connection.check_deadlines(since + seconds - 0.01)
        assert not bench.over
        bench.connection.check_deadlines(since + seconds + 0.01)
        assert bench.over and statuses(bench) == ([in_time] if in_time else [])
    finally:
        bench.end()


def test_a_client_that_reads_nothing_is_disconnected_and_one_that_reads_slowly_is_not() -> None:
    bench = Bench()
    try:
        bench.socket.full = True
        bench.feed(POST % 5 + b"large")
        since = bench.connection.waiting_since
        bench.socket.unsent -= 1  # the client took a byte
        bench.connection.check_deadlines(since + 40)
        assert not bench.over
        bench.connection.check_deadlines(since + 80)
        assert bench.over
    finally:
        bench.end()


def test_after_the_last_answer_the_client_has_time_to_read_and_its_input_is_discarded() -> None:
    bench = Bench()
    try:
        bench.feed(b"nonsense\r\n\r\n")
        assert statuses(bench) == [400] and bench.socket.ended and not bench.socket.closing
        bench.feed(b"x" * LINGER_BYTES)
        assert not bench.socket.closing
        bench.connection.check_deadlines(perf_counter() + LINGER_SECONDS + 0.1)
        assert bench.socket.closing
    finally:
        bench.end()


def test_more_input_than_is_discarded_ends_the_connection() -> None:
    bench = Bench()
    try:
        bench.feed(b"nonsense\r\n\r\n")
        bench.feed(b"x" * (LINGER_BYTES + 1))
        assert bench.socket.closing
    finally:
        bench.end()


def test_an_idle_connection_is_handed_over_at_once_and_a_busy_one_after_its_answer() -> None:
    for busy in (False, True):
        bench = Bench()
        try:
            bench.script_thread.holding = busy
            if busy:
                bench.feed(POST % 1 + b"a")
            bench.acceptor.draining = True
            bench.connection.release()
            assert bench.handed_over == ([] if busy else [-1])
            bench.finish()
            assert bench.handed_over == [-1] and statuses(bench) == ([200] if busy else [])
        finally:
            bench.end()


def test_a_connection_that_is_closed_is_not_handed_over() -> None:
    bench = Bench()
    try:
        bench.acceptor.draining = bench.acceptor.closing = True
        bench.connection.release()
        assert bench.socket.closing and bench.handed_over == []
    finally:
        bench.end()


def test_a_lost_connection_is_freed_without_a_garbage_collection() -> None:
    bench = Bench()
    bench.feed(POST % 1 + b"a" + b"GET / HT")
    bench.end()
    connection = weakref.ref(bench.connection)
    gc.disable()
    try:
        del bench.connection
        assert connection() is None
    finally:
        gc.enable()
