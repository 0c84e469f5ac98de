"""Streams of requests: valid ones, slightly invalid ones, and random bytes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

METHODS = [b"POST", b"POST", b"POST", b"GET", b"OPTIONS", b"HEAD", b"PUT"]
TARGETS = [b"/score", b"/score", b"/score?a=1", b"/", b"/ready", b"/none", b"*", b"http://x/score", b"/%2e%zz", b"//"]
BODIES = st.one_of(
    st.just(b""),
    st.sampled_from([b"none", b"large", b"a", b"0\r\n\r\n", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"x" * 1200]),
    st.binary(max_size=40),
)
# Replaces a header: lines that two servers may read differently.
ODD = [
    b"content-length: 3", b"Content-Length: 3", b"content-length: 3, 3", b"content-length: 3,4", b"content-length: +3",
    b"content-length: -3", b"content-length: 03", b"content-length: 3 ", b"content-length:\t3", b"content-length: 0x3",
    b"content-length: 3_0", b"content-length : 3", b" content-length: 3", b"content-length: 3;", b"content-length:",
    b"content-length: 18446744073709551619", b"content-length: \xb3", b"content_length: 3", b"content-length\0: 3",
    b"content-length: 3\r", b"content-length: 3\n", b"x: y\rcontent-length: 3", b"x: y\ncontent-length: 3",
    b"x: y\r\n content-length: 3", b"x: y\r\n\tcontent-length: 3", b"x:\r\n\r\n",
    b"transfer-encoding: chunked", b"Transfer-Encoding: Chunked", b"transfer-encoding: chunked, chunked",
    b"transfer-encoding: identity", b"transfer-encoding: identity, chunked", b"transfer-encoding: chunked, identity",
    b"transfer-encoding: gzip, chunked", b"transfer-encoding: chunked;q=1", b"transfer-encoding: \"chunked\"",
    b"transfer-encoding:\x0bchunked", b"transfer-encoding:\tchunked", b"transfer-encoding: chunked\t",
    b"transfer-encoding : chunked", b"transfer-encoding: xchunked", b"transfer-encoding: ",
    b"transfer-encoding: ,chunked", b"transfer-encoding: chunked,",
    b"transfer_encoding: chunked", b"transfer-encoding\0: chunked",
    b"connection: close", b"connection: keep-alive", b"connection: close, keep-alive", b"Connection: Upgrade",
    b"upgrade: h2c", b"upgrade: websocket", b"connection: transfer-encoding", b"connection: content-length",
    b"proxy-connection: close", b"keep-alive: timeout=1", b"expect: 100-continue", b"expect: other", b"te: trailers",
    b"host: y", b"host:", b"x: \0", b"x: a\x7fb", b"x:", b": x", b"x", b"x: \xff", b"\xff: x", b"x\t: y", b"x: y\x00",
    b"content-encoding: gzip", b"authorization: Bearer a", b"x-request-id: a", b"x-request-id: " + b"a" * 101,
]  # fmt: skip
ENDS = [b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r\n", b" \r\n", b"\0\r\n"]
VERSIONS = [b"HTTP/1.1"] * 6 + [
    b"HTTP/1.0",
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"HTTP/1.2",
    b"http/1.1",
    b"HTTP/1.10",
    b"HTTP/11",
    b"RTSP/1.0",
    b"ICE/1.1",
]
SIZES = [b"%x", b"%X", b"0%x", b"%x;a=b", b"%x ;a", b"%x ", b" %x", b"+%x", b"0x%x", b"%x;\n", b"%x\t", b"%x_0", b"-%x"]


# Behind the last chunk. All of them are allowed, or must be refused; none may change the request.
TRAILERS = [
    b"x: trailer", b"authorization: Bearer b", b"host: z", b"connection: close", b"content-type: text/plain", b"x:",
    b"content-length: 3", b"transfer-encoding: chunked", b"connection: upgrade\r\nupgrade: h2c", b"x: \0", b"x : y",
    b"x", b"x: y\r\n z", b"x: y\nz: y", b": y", b"x: " + b"y" * 70_000, b"y" * 70_000 + b": x",
    b"\r\n".join([b"x: y"] * 201),
]  # fmt: skip
SPACES = [b" "] * 6 + [b"  ", b"\t", b" \t", b"\x0b", b"\0", b""]


def chunked(parts: list[bytes], sizes: list[bytes], end: bytes, last: bytes) -> bytes:
    pairs = zip(parts, sizes, strict=True)
    return b"".join(size % len(part) + end + part + end for part, size in pairs if part) + last


@st.composite
def valid(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A request that must be answered, and its body."""
    body = draw(st.one_of(BODIES.filter(lambda b: len(b) <= 1000)))
    head = b"POST /score HTTP/1.1\r\nhost: x\r\n"
    if draw(st.booleans()):
        at = draw(st.integers(0, len(body)))
        parts = chunked([body[:at], body[at:]], [b"%x", b"%X;a=b"], b"\r\n", b"0\r\nx: trailer\r\n\r\n")
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + parts, body
    return head + b"content-length: %d\r\n\r\n" % len(body) + body, body


@st.composite
def odd(draw: st.DrawFn) -> bytes:
    """A request in which any part may be odd. Many of them must be refused."""
    odd = draw(st.integers(0, 3))  # how much of it

    def of(choices: list[bytes]) -> bytes:
        return draw(st.sampled_from(choices)) if odd else choices[0]

    body = draw(BODIES)
    how = draw(st.sampled_from(["length", "chunked", "both", "none"]))
    lines = [of(METHODS) + of(SPACES) + of(TARGETS) + of(SPACES) + of(VERSIONS), b"host: x"]
    if how in ("length", "both"):
        lines.append(b"content-length: %d" % max(0, len(body) + draw(st.sampled_from([0, 0, 0, 0, -1, 1]))))
    if how in ("chunked", "both"):
        lines.append(b"transfer-encoding: chunked")
        at = draw(st.integers(0, len(body)))
        last = of([b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nx: y\r\n\r\n", b"00\r\n\r\n", b"0\n\n", b"0\r\n", b"0;a\r\n\r\n",
                   b"0\r\n\r\r\n", b"0 \r\n\r\n", b"0\r\n%b\r\n\r\n" % of(TRAILERS)])  # fmt: skip
        body = chunked([body[:at], body[at:]], [of(SIZES), of(SIZES)], of(ENDS), last)
    for _ in range(odd):
        lines.insert(draw(st.integers(1, len(lines))), draw(st.sampled_from(ODD)))
    end = b"\r\n" if odd < 2 else of(ENDS)
    ends = [end if odd < 3 else of(ENDS) for _ in lines]
    return b"".join(line + e for line, e in zip(lines, ends, strict=True)) + end + body


def stream() -> st.SearchStrategy[bytes]:
    """Several pipelined requests, some with bytes changed afterwards."""
    several = st.lists(odd() | valid().map(lambda pair: pair[0]), min_size=1, max_size=4).map(b"".join)
    return several | st.builds(_changed, several, st.lists(_CHANGE, min_size=1, max_size=3))


_CHANGE = st.tuples(
    st.integers(0, 2000),
    st.integers(0, 3),
    st.sampled_from([b"", b"\r", b"\n", b"\0", b" ", b"\t", b":", b"\r\n", b"0", b"\x0b", b"\xff", b",", b"\r\n\r\n"]),
)


def _changed(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for at, cut, put in changes:
        at = min(at, len(data))
        data = data[:at] + put + data[at + cut :]
    return data


def anything() -> st.SearchStrategy[bytes]:
    return (
        stream() | st.binary(max_size=300) | st.lists(st.sampled_from([*ODD, *ENDS, *METHODS, *TARGETS])).map(b"".join)
    )


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]
