"""Requests that other servers misread (request smuggling) are read as h11, a strict parser, reads them, or refused."""

from __future__ import annotations

import pytest

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
        bench.settle()
        ours = [(method, target, body) for method, target, body, status in bench.app.answered if status == 200]
        found = answers(bytes(bench.socket.sent), [method for method, *_ in bench.app.answered])
        refused = found[-1][0] == 400
        assert ours == read_by_h11(data)[0][: len(ours)]
        assert refused is bench.over, "a refusal ends the connection"
        assert refused or len(ours) == len(read_by_h11(data)[0])
    finally:
        bench.end()
