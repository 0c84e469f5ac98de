"""The streams that replace `sys.stdout` and `sys.stderr`: whole and unfinished lines, and what scripts call on them."""

from __future__ import annotations

import io
import logging
import sys
import threading
import time
from typing import Any

import pytest

from mldeploy_jupyter.serving.log import streams, writer
from mldeploy_jupyter.serving.log.streams import Stream
from tests.unit.serving.log.output_pipe import captured_output, messages


def test_an_unfinished_line_is_held_until_newline_flush_or_another_request() -> None:
    with captured_output() as pipe:
        sys.stdout.write("a")
        sys.stdout.write("b\nc")
        sys.stdout.flush()
        sys.stdout.flush()
        writer.request_id.set("one")
        print("of one", end="")
        writer.request_id.set("")
        print("of none", end="")
        found = pipe.read_entries()
    assert [(entry["message"], entry.get("request_id")) for entry in found] == [
        ("ab", None), ("c\r", None), ("of one", "one"), ("of none", None),
    ]  # fmt: skip


def test_unfinished_lines_of_ended_threads_are_written() -> None:
    with captured_output() as pipe:
        alive = threading.Event()
        threads = [
            threading.Thread(target=lambda n=n: (print(n, end=""), alive.wait(20)))  # type: ignore[misc]
            for n in range(70)
        ]
        for thread in threads:
            thread.start()
        alive.set()
        for thread in threads:
            thread.join()
        assert sorted(map(int, messages(pipe))) == list(range(70))


def test_the_end_of_a_flushed_line_replaces_what_was_emitted_of_it() -> None:
    with captured_output() as pipe:
        print("loading", end="", flush=True)
        print(" done")
        print("step 1", end="\r", flush=True)
        print("step 2", end="\r", flush=True)
        print("end")
        print("for one", end="", flush=True)
        writer.request_id.set("one")
        print("of one")
        writer.request_id.set("")
        print("last")
        found = messages(pipe)
    assert found == ["loading\r", "\rloading done", "step 1\r", "\rend", "for one\r", "of one", "last"]


def test_a_long_flushed_line_is_not_written_again_and_again() -> None:
    with captured_output() as pipe:
        for _ in range(2000):
            print(".", end="", flush=True)
        print()
        found = messages(pipe)
    assert sum(map(len, found)) < 50_000 and max(map(len, found)) <= 202


def test_states_of_a_progress_bar_are_emitted_five_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(streams, "monotonic", lambda: now)
    with captured_output() as pipe:
        for percent in range(101):
            sys.stderr.write(f"\r{percent}%")
            sys.stderr.flush()
            now += 0.01
        sys.stderr.write("\n")
        found = messages(pipe)
    assert found[0] == "0%\r" and found[-1].rstrip("\r") == "\r100%" and 6 <= len(found) <= 7


def test_a_character_in_two_writes_of_bytes_is_one() -> None:
    with captured_output() as pipe:
        for byte in "é€".encode():
            sys.stdout.buffer.write(bytes([byte]))
            sys.stdout.buffer.flush()
        sys.stdout.buffer.write(b"\xff\n")
        found = messages(pipe)
    assert found[-1].strip("\r") == "é€\\xff"


def test_progress_bars_and_long_lines_survive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "monotonic", lambda: 0.0)
    with captured_output() as pipe:
        for percent in (0, 50, 100):
            print(f"\r{percent}%", end="", flush=True)
        print("\r")
        print("dos\r")
        sys.stdout.write("z" * 200_000)
        print()
        found = messages(pipe)
    assert found[:3] == ["0%\r", "\r100%", "dos"]
    assert "".join(found[3:]) == "z" * 200_000 and max(map(len, found)) <= 65_536


def test_a_huge_line_without_an_end_is_split_in_linear_time() -> None:
    size = 64_000_000
    lines: list[tuple[Any, str]] = []
    stream = Stream(1, "<stdout>", lines.extend, lambda: (1, ""))
    begin = time.process_time()
    stream.write("z" * size)
    assert time.process_time() - begin < 2, "each piece copied the rest of the text"
    stream.flush()
    assert sum(len(text.rstrip("\r")) for _, text in lines) == size and {len(text) for _, text in lines[:-1]} == {
        65_536
    }


def test_the_streams_have_the_methods_that_scripts_call() -> None:
    with captured_output() as pipe:
        out: Any = sys.stdout
        assert (out.encoding, out.isatty(), out.writable(), out.fileno(), out.closed) == (
            "utf-8",
            False,
            True,
            1,
            False,
        )
        out.reconfigure(line_buffering=True, encoding="ascii")
        out.buffer.write(b"bytes \xc3\xa9 \xff\n")
        out.writelines(["l1\n", "l2\n"])
        with pytest.raises(TypeError, match="must be str, not bytes"):
            out.write(b"bytes")
        wrapped = io.TextIOWrapper(out.buffer, encoding="utf-8", line_buffering=True)
        print("wrapped é", file=wrapped)
        wrapped.close()
        out.close()
        print("after it was closed")
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        log = logging.getLogger("test_output.own")
        log.propagate = False
        log.addHandler(handler)
        log.error("by a handler")
        found = pipe.read_entries()
    assert [entry["message"] for entry in found] == [
        "bytes é \\xff", "l1", "l2", "wrapped é", "after it was closed", "ERROR by a handler",
    ]  # fmt: skip
