"""Where received data is cut, so that no piece has parts of two requests."""

from __future__ import annotations

import itertools
from typing import cast

import pytest

from mldeploy_jupyter.serving.http.exchange import Exchange, Sender
from mldeploy_jupyter.serving.http.request_splitter import MAX_BLANK, RequestSplitter
from mldeploy_jupyter.serving.scoring.messages import Refused

HEAD = b"POST /score HTTP/1.1\r\nhost: a\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
CHUNKS = b"3\r\n\r\n\r\r\n5\r\na\r\n\r\n\r\n0\r\n\r\n"  # the data is "\r\n\r" and "a\r\n\r\n"
WITH_TRAILER = b"1\r\na\r\n0\r\nx: y\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


class Reader:
    """A connection that knows where each of its requests ends, as the parser would tell it."""

    def __init__(self, requests: list[tuple[bytes, bytes]]) -> None:
        self.arriving: Exchange | None = None
        self.input_ended = False
        self.splitter = RequestSplitter()
        self._requests = requests
        self._read = b""
        self.ends: list[int] = []  # of the requests, in what was read

    def receive(self, data: bytes) -> None:
        for piece in self.splitter.split(data, self):
            self._advance(bytes(piece))

    def _advance(self, piece: bytes) -> None:
        self._read += piece
        head, body = self._requests[len(self.ends)]
        read = len(self._read) - (self.ends[-1] if self.ends else 0)
        assert read <= len(head) + len(body), "the piece has the start of another request"
        if read >= len(head) and self.arriving is None:
            self.arriving = Exchange(cast(Sender, None), 0.0)
            self.arriving.admitted = True
            lines = head.decode().split("\r\n")[1:-2]
            self.arriving.headers = dict(line.split(": ", 1) for line in lines)
            self.arriving.length = int(self.arriving.headers.get("content-length", -1))
        if self.arriving is not None:
            self.arriving.body_size = read - len(head)
        if read == len(head) + len(body):
            self.arriving = None
            self.ends.append(len(self._read))
            self.splitter.await_request()


REQUESTS = [
    (GET, b""),
    (CHUNKED, CHUNKS),
    (HEAD + b"content-length: 8\r\n\r\n", b"\r\n\r\nGET "),
    (CHUNKED, WITH_TRAILER),
    (CHUNKED, b"12002\r\n" + b"x\r\n\r\n" * 14746 + b"\r\n0\r\n\r\n"),
    (GET, b""),
]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 64, 1000, 70_000, 10**6])
def test_no_piece_has_parts_of_two_requests_however_they_arrive(step: int) -> None:
    requests = REQUESTS if step > 3 else REQUESTS[:4]
    data = b"".join(head + body for head, body in requests)
    reader = Reader(requests)
    for start in range(0, len(data), step):
        reader.receive(data[start : start + step])
    assert reader.ends == list(itertools.accumulate(len(head) + len(body) for head, body in requests))
    assert reader.splitter.excess == 0


def test_empty_lines_before_a_request_are_skipped_up_to_a_limit() -> None:
    reader = Reader([(GET, b"")])
    reader.receive(b"\r\n" * (MAX_BLANK // 2))
    reader.receive(GET)
    assert reader.ends == [len(GET)]
    with pytest.raises(Refused):
        reader.receive(b"\r\n" * (MAX_BLANK // 2) + b"\n")


@pytest.mark.parametrize("line", [b"GET  / HTTP/1.1\r\n", b"GET / RTSP/1.0\r\n", b"GET / HTTP/2.0\r\n", b"GET /\r\n"])
@pytest.mark.parametrize("step", [4, 100])
def test_a_request_line_that_is_none_is_refused(line: bytes, step: int) -> None:
    reader = Reader([(line, b"")])
    with pytest.raises(Refused):
        for start in range(0, len(line), step):
            reader.receive(line[start : start + step])


def test_the_next_byte_may_begin_a_request_only_after_its_line() -> None:
    splitter, reader = RequestSplitter(), Reader([])
    assert not splitter.may_begin
    next(splitter.split(GET, reader))
    assert splitter.may_begin and splitter.excess == len(GET)
