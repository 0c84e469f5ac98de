"""A body is received in any pieces, by whoever reads it, and takes no memory for what has not arrived."""

from __future__ import annotations

import os
import random
import tracemalloc

import pytest

from mldeploy_jupyter.serving.http.body import FIRST_BLOCK, LONG, MAX_READ, LongBody, Pieces, new_body
from tests.unit.serving.http.pipes import Pipe

SIZES = [1, 4095, LONG - 1, LONG, LONG + 1, FIRST_BLOCK, FIRST_BLOCK + 1, 3 * FIRST_BLOCK, 5 * FIRST_BLOCK + 7]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("is_announced", [True, False])
def test_a_body_is_what_was_added_and_read(size: int, is_announced: bool) -> None:
    wanted, random_number = random.Random(size).randbytes(size), random.Random(size).randrange
    body, got = new_body(size if is_announced else -1), 0
    with Pipe() as pipe:
        while got < size:
            piece = wanted[got : got + random_number(1, size + 1)]
            if random_number(2):
                body.add(memoryview(piece) if random_number(2) else piece)
                got += len(piece)
            else:
                pipe.write(piece[:60_000])
                got += body.read(pipe.reader, size - got)
        assert isinstance(body, LongBody) == (is_announced and size >= LONG)
        found = body.take()
        assert type(found) is bytes and found == wanted and hash(found) == hash(wanted)


def test_the_end_of_the_input_is_told_and_an_error_raised() -> None:
    for body in (Pieces(), LongBody(LONG)):
        with Pipe() as pipe:
            with pytest.raises(BlockingIOError):
                body.read(pipe.reader, LONG)
            pipe.close_writer()
            assert body.read(pipe.reader, LONG) == 0


def test_a_length_takes_no_memory_by_itself() -> None:
    tracemalloc.start()
    try:
        body = LongBody(1 << 40)
        body.add(b"x" * (FIRST_BLOCK - 1))
        assert tracemalloc.get_traced_memory()[1] < 3 * FIRST_BLOCK
        body.add(b"x" * 2)
        assert tracemalloc.get_traced_memory()[1] < 8 * FIRST_BLOCK
        assert len(body.space()) == MAX_READ
    finally:
        tracemalloc.stop()


def test_a_body_that_is_not_whole_is_never_given_out() -> None:
    body = LongBody(LONG)
    body.add(b"x" * (LONG - 1))
    with pytest.raises(AssertionError):
        body.take()


def test_a_body_is_not_longer_than_announced() -> None:
    body = LongBody(LONG)
    with pytest.raises(AssertionError):
        body.add(b"x" * (LONG + 1))


def test_what_was_taken_can_no_longer_be_written() -> None:
    body = LongBody(LONG)
    body.add(os.urandom(LONG))
    assert len(body.space()) == 0
    taken = body.take()
    assert len(body.space()) == 0 and len(taken) == LONG
