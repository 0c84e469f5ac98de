"""Cuts received data where one request may end and the next begin, which the parser does not say.

So a head or a chunked body is cut behind every empty line, one of which is its end, and another body by its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from ..scoring.messages import Refused, error_response
from .exchange import Exchange
from .request_line import check_request_line, is_request_line

MAX_BLANK = 16  # bytes of empty lines before a request

_EMPTY_LINE = b"\r\n\r\n"  # with the end of the line before it

_search_empty_line = re.compile(_EMPTY_LINE).search

_LARGE_PIECE = 65536  # bytes; from here on a view is cheaper than a copy

_SHORT_BODY = 4096  # bytes; in more, looking for one byte first is faster


class Reading(Protocol):
    """How far a connection has read."""

    arriving: Exchange | None  # the request that is not complete yet
    input_ended: bool  # no further request is read


class RequestSplitter:
    """The cuts of one connection. Checks each request line on the way.

    `excess` are the bytes received since the request's first byte, less what the connection subtracts for its body.
    `may_begin`: the next byte is the first of a request, which the connection sets to False when it has begun.
    """

    def __init__(self) -> None:
        self.excess = 0
        self.may_begin = False
        self._awaits_line = True  # the request's line was not accepted yet
        self._line: bytes | bytearray = b""  # as far as it came, if it came in pieces
        self._blank = 0  # bytes of empty lines before the request
        self._tail = b""  # the last bytes that were passed on, up to 3, if an empty line may have begun in them

    def await_request(self) -> None:
        """The request is complete; what comes now is another one."""
        self.excess, self._awaits_line, self._tail = 0, True, b""

    def skip_head(self) -> None:
        """The head of a request was read otherwise; what comes now is its body."""
        self.excess, self._awaits_line, self._blank = 0, False, 0

    def split(self, data: bytes, reading: Reading) -> Iterator[bytes | memoryview]:
        """Pieces of `data`, none of which has parts of two requests. Each is to be parsed before the next is asked for.

        Raises `Refused`.
        """
        start, size = 0, len(data)
        self.excess += size
        while start < size and not (reading.input_ended and reading.arriving is None):
            if self._awaits_line:
                if not self._line and is_request_line(data, start):
                    self.may_begin, self.excess = True, size - start
                else:
                    if not self._line:
                        start = self._skip_blank(data, start)
                        if start == size:
                            return
                        self.may_begin, self._line = True, bytearray()
                    end = data.find(b"\n", start) + 1
                    self._line += data[start : end or size]
                    if not end:
                        yield data[start:]
                        return
                    refusal = check_request_line(bytes(self._line))
                    if refusal is not None:
                        raise Refused(refusal)
                    self._line = b""
                self._awaits_line, self._blank = False, 0
            end = self._find_cut(data, start, reading.arriving)
            if start == 0 and end == size:
                yield data
                return
            yield data[start:end] if end - start < _LARGE_PIECE else memoryview(data)[start:end]
            start = end

    def _skip_blank(self, data: bytes, start: int) -> int:
        """Where the first line that is not empty begins. A client may send an empty line before a request."""
        end = start
        while data[end : end + 1] in (b"\r", b"\n"):
            end += 1
            self._blank += 1
            if self._blank > MAX_BLANK:
                raise Refused(error_response(400, "bad-request", "too many empty lines before the request"))
        self.excess = len(data) - end
        return end

    def _find_cut(self, data: bytes, start: int, exchange: Exchange | None) -> int:
        size = len(data)
        in_body = exchange is not None and exchange.admitted
        if exchange is not None and in_body and exchange.length >= 0:
            return min(size, start + exchange.length - exchange.body_size)
        tail, self._tail = self._tail, b""
        if tail:
            across = (tail + data[start : start + 3]).find(_EMPTY_LINE)  # an empty line may come in two pieces
            if across >= 0:
                return start + across + 4 - len(tail)
        end = data.find(_EMPTY_LINE, start) if not in_body or size - start < _SHORT_BODY else _find_empty(data, start)
        if end >= 0:
            return end + 4
        self._tail = data[-3:] if size - start > 2 else (tail + data[start:])[-3:]
        return size


def _find_empty(data: bytes, start: int) -> int:
    """As `data.find`, for a large body: it seldom has a CR, and one byte is found ten times as fast as four."""
    for _ in range(8):
        start = data.find(b"\r", start)
        if start < 0 or data[start : start + 4] == _EMPTY_LINE:
            return start
        start += 1
    found = _search_empty_line(data, start)  # twice as fast as `find`
    return found.start() if found is not None else -1
