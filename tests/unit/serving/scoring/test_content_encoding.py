"""Compressed bodies: decompressed as they were, within the limit, or refused with a reason."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mldeploy_jupyter.serving.scoring.content_encoding import decompress
from mldeploy_jupyter.serving.scoring.messages import Response


@settings(max_examples=60)
@given(st.binary(max_size=200), st.integers(0, 40_000), st.integers(0, 9))
def test_a_body_comes_back_unless_it_exceeds_the_limit_or_is_cut_short(seed: bytes, times: int, level: int) -> None:
    data = seed * times
    for coding, body in (("gzip", gzip.compress(data, level)), ("deflate", zlib.compress(data, level))):
        assert decompress(body, coding, len(data)) == data
        assert decompress(body, coding, 10_000_000) == data
        if data:
            refused = decompress(body, coding, len(data) - 1)
            assert isinstance(refused, Response) and refused.status == 413
        cut = decompress(body[:-1], coding, 10_000_000)
        assert isinstance(cut, Response) and cut.status == 400
    pieces = gzip.compress(data[: len(data) // 2], level) + gzip.compress(data[len(data) // 2 :], level)
    assert decompress(pieces, "gzip", len(data)) == data


@pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5_000_000])
def test_sizes_around_one_step_of_decompression(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    assert decompress(gzip.compress(data, 1), "gzip", size) == data
    assert getattr(decompress(gzip.compress(data, 1), "gzip", size - 1), "status", 0) == 413


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


@given(st.binary(max_size=2000))
def test_every_accepted_encoding_is_decompressed(data: bytes) -> None:
    half = len(data) // 2
    assert decompress(gzip.compress(data), "gzip", 2000) == data
    assert decompress(gzip.compress(data[:half]) + gzip.compress(data[half:]) + b"\0\0", " X-GZIP ", 2000) == data
    assert decompress(zlib.compress(data), "deflate", 2000) == data
    assert decompress(raw_deflate(data), "Deflate", 2000) == data
    assert decompress(data, "", 0) == data and decompress(data, "identity", 0) == data


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_are_decompressed_or_refused(data: bytes, encoding: str) -> None:
    result = decompress(data, encoding, 100)
    assert (result.status in (400, 413)) if isinstance(result, Response) else len(result) <= 100


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        (b"{}", "br", 415, "wrong-content-encoding"),
        (b"{}", "gzip, gzip", 415, "wrong-content-encoding"),
        (b"{}", "gzip", 400, "bad-encoding"),
        (b"", "gzip", 400, "bad-encoding"),
        (gzip.compress(b"x" * 50)[:-9], "gzip", 400, "bad-encoding"),
        (zlib.compress(b"x") + b"more", "deflate", 400, "bad-encoding"),
        (gzip.compress(b"") * 101, "gzip", 400, "bad-encoding"),
        (gzip.compress(b"x" * 101), "gzip", 413, "too-large"),
        (gzip.compress(b"x" * 60) * 2, "gzip", 413, "too-large"),
    ],
    ids=range(9),
)
def test_a_refused_body_has_a_status_a_code_and_a_hint(body: bytes, encoding: str, status: int, code: str) -> None:
    result = decompress(body, encoding, 100)
    assert isinstance(result, Response) and result.status == status
    error = orjson.loads(result.body)["error"]
    assert error["code"] == code and error["hint"]


def test_a_bomb_takes_no_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(bytes(200_000_000))
    tracemalloc.start()
    result = decompress(bomb, "gzip", 1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(result, Response) and result.status == 413
    assert peak < 2_500_000  # the limit, and the bomb's own bytes that were left over
