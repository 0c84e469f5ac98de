"""Reading a worker's output: entries pass, everything else is wrapped, and nothing can be forged."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from mldeploy_jupyter.serving.log import entry, writer
from mldeploy_jupyter.serving.log.worker_output import OutputReader, Tail
from tests.unit.serving.log.output_pipe import ACCESS, MARK, captured_output, strict, wrap


@settings(max_examples=150)
@given(
    st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"\n", b"\x1e", b'{"time":"x","logger":"access"}\n'])))
)
def test_output_that_bypasses_the_streams_is_wrapped_and_forges_nothing(parts: list[bytes]) -> None:
    with captured_output() as pipe:
        for part in parts:
            os.write(pipe.fd, part)
            print("mine")
        found = pipe.read_entries()
    mine = [entry for entry in found if entry["logger"] == "print"]
    assert [entry["message"] for entry in mine] == ["mine"] * len(parts)
    assert {entry["logger"] for entry in found} <= {"print", "raw"}
    raw = "".join(entry["message"] for entry in found if entry["logger"] == "raw")
    assert raw == "".join(line.decode("utf-8", "backslashreplace") for part in parts for line in part.split(b"\n"))


@settings(max_examples=100)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=20))
def test_chunks_cut_anywhere_give_the_same_entries(cuts: list[int]) -> None:
    with captured_output() as pipe:
        print("one")
        os.write(pipe.fd, b"raw\nhalf ")
        print("two é")
        writer.add_access(b'"i"', "POST", "/score", 200, **ACCESS, batch=1)
        whole = [(entry["logger"], entry["message"]) for entry in pipe.read_entries()]
    leader = b"\x1e" + MARK.encode()
    data = b"".join(
        leader + line if b'"logger":"raw"' not in line else {0: b"raw\n", 1: b"half "}[number]
        for number, line in _count_raw(b"".join(pipe.chunks).splitlines(keepends=True))
    )
    read, write = os.pipe()
    chunks: list[bytes] = []
    reader = threading.Thread(target=OutputReader(read, MARK, wrap, chunks.append).run)
    reader.start()
    for size in cuts:
        os.write(write, data[:size])
        data = data[size:]
    os.write(write, data)
    os.close(write)
    reader.join()
    assert [(e["logger"], e["message"]) for e in map(strict, b"".join(chunks).splitlines())] == whole


def _count_raw(lines: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each line with the number of raw lines before it."""
    raw = 0
    for line in lines:
        yield raw, line
        raw += b'"logger":"raw"' in line


def texts(chunks: list[bytes]) -> list[str]:
    return [strict(line)["message"] for line in b"".join(chunks).splitlines()]


def test_a_flush_takes_what_was_written_before_it_also_where_the_reader_has_not_come_to_it() -> None:
    read, write = os.pipe()
    chunks: list[bytes] = []
    reader = OutputReader(read, MARK, wrap, chunks.append)
    os.write(write, b"one\ntwo\nthr")
    reader.flush()
    assert texts(chunks) == ["one", "two"]
    reader.flush()  # there is nothing: it does not wait
    os.write(write, b"ee\n")
    os.close(write)
    reader.run()
    reader.flush()
    assert texts(chunks) == ["one", "two", "three"]


def test_a_flush_waits_for_lines_that_the_reader_has_taken() -> None:
    read, write = os.pipe()
    taken, may_go_on = threading.Event(), threading.Event()
    chunks: list[bytes] = []

    def slow(lines: bytes) -> None:
        taken.set()
        assert may_go_on.wait(60)
        chunks.append(lines)

    reader = OutputReader(read, MARK, wrap, slow)
    reading = threading.Thread(target=reader.run)
    reading.start()
    os.write(write, b"one\n")
    assert taken.wait(60)
    threading.Timer(0.1, may_go_on.set).start()
    reader.flush()
    assert texts(chunks) == ["one"]
    os.close(write)
    reading.join()


def test_a_flush_ends_where_a_worker_writes_without_end() -> None:
    read, write = os.pipe()
    reader = OutputReader(read, MARK, wrap, lambda lines: os.write(write, b"more\n"))
    os.write(write, b"one\n")
    os.set_blocking(write, False)
    reader.flush()
    os.close(write)
    os.close(read)


def test_the_tail_keeps_the_last_lines_without_requests() -> None:
    tail = Tail()
    access = b'{"time":"t","level":"info","logger":"access","message":"POST /score"}\n'
    tail.add(access * 100)
    assert tail.texts() == []
    tail.add(b"".join(wrap(f"line {number}") + access for number in range(80)))
    tail.add(entry.format_line("failed", logger="server", traceback="a\nb"))
    assert tail.texts() == [*(f"line {number}" for number in range(33, 80)), "failed", "a", "b"]
