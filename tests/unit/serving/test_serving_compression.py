"""Compressed bodies in steps: what comes out is what went in, to the byte of the limit, in whatever form it was."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mldeploy_jupyter.serving.scoring.content_encoding import decompress
from mldeploy_jupyter.serving.scoring.messages import Response


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 40_000), st.integers(0, 9))
def test_what_was_compressed_comes_back_and_never_more_than_the_limit(seed: bytes, times: int, level: int) -> None:
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
def test_sizes_at_the_border_of_a_step(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    assert decompress(gzip.compress(data, 1), "gzip", size) == data
    assert getattr(decompress(gzip.compress(data, 1), "gzip", size - 1), "status", 0) == 413
