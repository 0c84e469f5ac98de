"""One connection: deadlines, the end, handing over, and requests that other servers misread (request smuggling)."""

from __future__ import annotations

import gc
import weakref
from time import perf_counter

import pytest

from mldeploy_jupyter.serving.http.body_protocol import BodyProtocol
from mldeploy_jupyter.serving.http.connection import LINGER_BYTES, LINGER_SECONDS, MIN_UPLOAD_RATE
from mldeploy_jupyter.serving.worker import app
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


LINES = {
    "two spaces before the target": b"GET  / HTTP/1.1\r\n",
    "two spaces before the version": b"GET /  HTTP/1.1\r\n",
    "tabs": b"GET\t/\tHTTP/1.1\r\n",
    "a space at the end": b"GET / HTTP/1.1 \r\n",
    "a space at the start": b" GET / HTTP/1.1\r\n",
    "RTSP": b"GET / RTSP/1.0\r\n",
    "RTSP/1.1": b"GET / RTSP/1.1\r\n",
    "ICE": b"SOURCE / ICE/1.0\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\n",
    "HTTP/0.9": b"GET / HTTP/0.9\r\n",
    "no version": b"GET /\r\n",
    "LF alone": b"GET / HTTP/1.1\n",
    "a control character": b"GET /\x01 HTTP/1.1\r\n",
    "DEL": b"GET /\x7f HTTP/1.1\r\n",
    "a byte beyond ASCII": b"GET /\xff HTTP/1.1\r\n",
    "lower case": b"get / HTTP/1.1\r\n",
}
GOOD = {
    "alone": b"",
    "behind a length": b"POST /score HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\na",
    "behind chunks": HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx: y\r\n\r\n",
    "behind a trailer": HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nconnection: close\r\n\r\n",
    "behind no body": b"GET /ready HTTP/1.1\r\nhost: x\r\n\r\n",
}


@pytest.mark.parametrize("before", GOOD.values(), ids=GOOD)
@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_request_line_is_read_strictly_wherever_it_comes(line: bytes, before: bytes) -> None:
    data = before + line + b"host: x\r\n\r\n"
    for pieces in ([data], [before, data[len(before) :]], [bytes([byte]) for byte in data]):
        bench = Bench()
        try:
            for piece in pieces:
                bench.feed(piece)
            bench.finish()
            assert statuses(bench) == [200] * bool(before) + [400] and bench.over
        finally:
            bench.end()


def test_empty_lines_before_a_request_are_few() -> None:
    for blank, status in ((b"\r\n", 200), (b"\r\n" * 8, 200), (b"\r\n" * 9, 400), (b"\r\n" * 100_000, 400)):
        for pieces in ([blank + NEXT], [*[blank[n : n + 7] for n in range(0, min(len(blank), 70), 7)], NEXT]):
            bench = Bench()
            try:
                for piece in pieces:
                    bench.feed(piece)
                bench.finish()
                assert statuses(bench) == [status]
            finally:
                bench.end()


CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
TOO_MUCH = {
    "a trailer without an end": (b"0\r\na: ", b"a" * 65_536, 431),
    "the name of a trailer without an end": (b"0\r\n", b"a" * 65_536, 431),
    "many trailers": (b"0\r\n", b"a: b\r\n" * 10, 431),
    "an extension without an end": (b"1;", b"a" * 65_536, 431),
    "a size without an end": (b"", b"0" * 65_536, 431),
    "an extension at each chunk": (b"", b"1;" + b"a" * 1000 + b"\r\nx\r\n", 431),
    "tiny chunks": (b"", b"1\r\nx\r\n" * 100, 413),
}


@pytest.mark.parametrize("line", [b"POST /score", b"GET /"])
@pytest.mark.parametrize(("start", "more", "status"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_chunks_bring_beside_the_body_is_limited(start: bytes, more: bytes, status: int, line: bytes) -> None:
    bench = Bench(max_body_bytes=100_000)
    try:
        bench.feed(CHUNKED.replace(b"POST /score", line) + start)
        sent = 0
        while not bench.over and sent < 8 << 20:
            bench.feed(more)
            sent += len(more)
        assert statuses(bench) == [status]
    finally:
        bench.end()


def test_a_body_in_tiny_chunks_is_a_body() -> None:
    bench = Bench(max_body_bytes=400_000)
    try:
        bench.feed(CHUNKED)
        for _ in range(3000):
            bench.feed(b"1\r\nx\r\n" * 100)
        bench.feed(b"0\r\na: b\r\n\r\n")
        assert [body for _, _, body in answers(bytes(bench.socket.sent), [])] == [b":" + b"x" * 300_000]
    finally:
        bench.end()


@pytest.mark.parametrize("size", [1000, 40_000, 70_000, 100_001, 1_000_000])
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_a_large_body_goes_past_the_parser(version: bytes, size: int) -> None:
    """The requests before and behind it, and their order, are as with small ones; nothing in a body looks like one."""
    small = HEAD + b"content-length: 3\r\n\r\nabc"
    body = (NEXT + small) * 2000
    large = b"POST /score HTTP/%b\r\nhost: x\r\nconnection: keep-alive\r\ncontent-length: %d\r\n\r\n" % (
        version,
        len(body),
    )
    data = small + (large + body) * 2 + small + NEXT
    bench = Bench(max_body_bytes=len(body))
    try:
        for start in range(0, len(data), size):
            bench.feed(data[start : start + size])
        found = [answer for _, _, answer in answers(bytes(bench.socket.sent), [])]
        assert found == [b":abc", b":" + body, b":" + body, b":abc", b":"] and not bench.over
    finally:
        bench.end()


def test_a_large_body_is_not_parsed_and_one_in_chunks_is() -> None:
    bench = Bench(max_body_bytes=1_000_000)
    try:
        bench.feed(HEAD + b"content-length: 200000\r\n\r\n" + b"x" * 50_000)
        bench.feed(b"x" * 50_000)
        assert bench.connection._reader.parser is None
        bench.feed(b"x" * 99_999)
        assert not statuses(bench)
        bench.feed(b"x" + CHUNKED + b"30d40\r\n" + b"x" * 100_000)
        assert statuses(bench) == [200] and bench.connection._reader.parser is not None
        bench.feed(b"x" * 100_000 + b"\r\n0\r\n\r\n")
        assert statuses(bench) == [200, 200]
    finally:
        bench.end()


def test_a_long_body_is_received_in_place_and_what_follows_it_is_not() -> None:
    bench = Bench(max_body_bytes=1_000_000)
    try:
        for _ in range(3):  # with a head that is new, and with one that is known
            bench.feed(POST % 200_000)
            bench.feed(b"x" * 50_000)
            assert isinstance(bench.socket.protocol, BodyProtocol)
            bench.feed(b"x" * 50_000)
            bench.feed(b"x" * 100_000 + NEXT)
            assert bench.socket.protocol is bench.connection
        assert statuses(bench) == [200] * 6
    finally:
        bench.end()


def test_a_long_body_that_is_refused_on_its_way_is_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "MIN_BUFFERED_LIMIT", 0)
    for in_time in (True, False):
        bench = Bench(max_body_bytes=200_000)
        try:
            bench.feed(POST % 200_000 + b"x" * 50_000)
            assert isinstance(bench.socket.protocol, BodyProtocol)
            if in_time:
                bench.acceptor.buffered += 400_000
                bench.feed(b"x" * 50_000)
                bench.acceptor.buffered -= 400_000
            else:
                bench.connection.check_deadlines(perf_counter() + 1000)
            assert statuses(bench) == [503 if in_time else 408] and bench.acceptor.buffered == 0
            bench.feed(b"x" * 100_000 + (NEXT if in_time else b""))
            assert bench.socket.protocol is bench.connection
            assert statuses(bench)[1:] == [200] * in_time and bench.over is not in_time
        finally:
            bench.end()


def test_a_client_that_leaves_in_a_long_body_is_gone() -> None:
    bench = Bench(max_body_bytes=1_000_000)
    bench.feed(POST % 200_000 + b"x" * 50_000)
    protocol = bench.socket.protocol
    assert isinstance(protocol, BodyProtocol) and not protocol.eof_received() and statuses(bench) == [400]
    protocol.connection_lost(None)
    bench.lost = True
    bench.end()


@pytest.mark.parametrize("trailer", [b"connection: close", b"proxy-connection: close", b"connection: upgrade", b"x: y"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_trailer_does_not_end_the_connection(trailer: bytes, size: int) -> None:
    data = (CHUNKED + b"1\r\na\r\n0\r\n" + trailer + b"\r\n\r\n") * 3 + NEXT
    bench = Bench()
    try:
        for start in range(0, len(data), size):
            bench.feed(data[start : start + size])
        assert statuses(bench) == [200] * 4 and not bench.over
    finally:
        bench.end()


def test_many_small_headers_of_one_name_are_as_many_headers() -> None:
    bench = Bench()
    try:
        bench.feed(HEAD + b"a: b\r\n" * 201 + b"\r\n")
        assert statuses(bench) == [431]
    finally:
        bench.end()


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"identity, chunked", b"deflate,chunked"])
def test_another_transfer_coding_than_chunked_is_not_implemented(coding: bytes) -> None:
    bench = Bench()
    try:
        bench.feed(HEAD + b"transfer-encoding: " + coding + b"\r\n\r\n1\r\na\r\n0\r\n\r\n" + NEXT)
        assert statuses(bench) == [501] and bench.over
    finally:
        bench.end()


@pytest.mark.parametrize("held", [False, True], ids=["answered at once", "answered later"])
@pytest.mark.parametrize(
    "rest",
    [
        b"garbage\r\n\r\n",
        b"body without a length",
        b"GET / HT",
        HEAD + b"content-length: 5\r\n\r\nabc",
        CHUNKED + b"1\r\n",
    ],
    ids=["garbage", "no length", "half a line", "half a body", "half a chunk"],
)
def test_a_client_that_closes_its_half_gets_its_answer_and_then_the_refusal(rest: bytes, held: bool) -> None:
    bench = Bench()
    try:
        bench.script_thread.holding = held
        bench.feed(POST % 1 + b"a" + rest)
        bench.eof()
        bench.finish()
        assert statuses(bench) == [200, 400] and bench.over
        assert answers(bytes(bench.socket.sent), [])[0][2] == b":a"
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
