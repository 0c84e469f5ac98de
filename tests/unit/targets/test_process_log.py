from __future__ import annotations

import itertools
import os
import tempfile
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mldeploy_jupyter.api.webservices.log_text import format_log_line
from mldeploy_jupyter.serving.log import entry as entries
from mldeploy_jupyter.serving.log.service_log import ServiceLog
from mldeploy_jupyter.targets.process_log import read_log

STAMP = "2026-11-22T10:00:00.000Z"


def test_lines_are_split_into_time_source_and_text(tmp_path: Path) -> None:
    (tmp_path / "service.log").write_text(f"{STAMP} [r1 42] hello [there]\nno stamp at all\n")
    first, second = read_log(tmp_path / "service.log")
    assert (first.time, first.source, first.text) == (STAMP, "r1 42", "hello [there]")
    assert (second.time, second.source, second.text) == ("", "", "no stamp at all")


def test_the_tail_reaches_into_rotated_files(tmp_path: Path) -> None:
    for name, lines in {"service.log.2": "abc", "service.log.1": "def", "service.log": "gh"}.items():
        (tmp_path / name).write_text("".join(f"{STAMP} [w] {line}\n" for line in lines))
    assert "".join(line.text for line in read_log(tmp_path / "service.log")) == "abcdefgh"
    assert "".join(line.text for line in read_log(tmp_path / "service.log", tail=3)) == "fgh"


def test_the_end_of_a_log_of_a_gigabyte_is_read_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    with path.open("wb") as file:
        file.truncate(1 << 30)  # zeros that take no room
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + b"".join(entry(number) for number in range(5000)) + b"torn")
    tracemalloc.start()
    lines = list(read_log(path, tail=20))
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert [line.text for line in lines] == [*(f"line {number}" for number in range(4981, 5000)), "torn"]


@pytest.mark.parametrize("tail", [0, 1, 2, 5, 6, 7, 20])
def test_a_tail_ends_where_the_log_does(tmp_path: Path, tail: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mldeploy_jupyter.core.lines.backwards.BLOCK_BYTES", 3)
    (tmp_path / "service.log.2").write_bytes(b"one\n\n")
    (tmp_path / "service.log.1").write_bytes(b"three, torn")
    (tmp_path / "service.log").write_bytes(b"four\nfive is longer\nsix")
    every = ["one", "", "three, torn", "four", "five is longer", "six"]
    assert [line.text for line in read_log(tmp_path / "service.log", tail=tail)] == every[len(every) - min(tail, 6) :]
    assert [line.text for line in read_log(tmp_path / "service.log")] == every


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert list(read_log(tmp_path / "none.log")) == []


def test_undecodable_bytes_do_not_stop_the_reader(tmp_path: Path) -> None:
    (tmp_path / "service.log").write_bytes(f"{STAMP} [w] ".encode() + b"\xff\xfe\n")
    assert [line.text for line in read_log(tmp_path / "service.log")] == ["\\xff\\xfe"]


def test_following_gives_new_lines_whole_and_survives_rotation(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    path.write_text(f"{STAMP} [w] one\n")

    def append(text: str) -> None:
        with path.open("a") as file:
            file.write(text)

    def rotate() -> None:
        os.rename(path, tmp_path / "service.log.1")
        append(f"{STAMP} [w] four\n")

    steps = iter([lambda: append(f"{STAMP} [w] tw"), lambda: append(f"o\n{STAMP} [w] three\n"), rotate])
    going = iter([True] * 12 + [False] * 3)

    def wait(_seconds: float) -> None:
        step = next(steps, None)
        if step is not None:
            step()

    lines = read_log(path, follow=lambda: next(going), wait=wait)
    assert [line.text for line in lines] == ["one", "two", "three", "four"]


def entry(number: int, **more: Any) -> bytes:
    return entries.format_line(f"line {number}", logger="print", revision="3", pid=42, **more)


def test_an_entry_is_read_with_its_request_and_its_level(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    path.write_bytes(
        entry(1, request_id="caller-7")
        + entries.format_line("run() raised", level="error", logger="server", revision="3", pid=42, traceback="a\n  b")
        + entries.format_line("stopped", logger="supervisor", pid=1)
        + b'{"not": "an entry"}\n{"torn'
    )
    printed, failed, own, other, torn = read_log(path)
    assert (printed.source, printed.text, printed.request_ids) == ("r3 42", "[caller-7] line 1", ("caller-7",))
    assert printed.time == printed.entry["time"] and printed.level == "info"
    assert (failed.text, failed.level) == ("run() raised\na\n  b", "error")
    assert (own.source, own.text) == ("supervisor", "stopped")
    assert (other.text, other.entry, torn.text) == ('{"not": "an entry"}', {}, '{"torn')


def test_a_traceback_is_one_entry_of_the_tail_and_shown_whole(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    path.write_bytes(entry(1) + entries.format_line("raised", logger="server", request_id="i", traceback="a\nb"))
    (last,) = read_log(path, tail=1)
    assert last.text == "[i] raised\n[i] a\n[i] b"
    every = "\n".join(f"{last.time} [server] [i] {text}" for text in ("raised", "a", "b"))
    assert format_log_line(last, timestamps=True) == every
    assert format_log_line(last, today=last.time[:10]) == f"{last.time[11:19]}Z server i raised\n    a\n    b"


@settings(max_examples=60)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=25), st.integers(0, 3))
def test_a_followed_log_loses_nothing_at_rotation(steps: list[int], before: int) -> None:
    """Between two looks so many lines are written as each step says; three lines make a file full."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "service.log"
        log = ServiceLog(path, max_bytes=3 * len(entry(10)))
        numbers = itertools.count(10)
        written = []

        def write(count: int) -> None:
            # A reader that looks only after more than the kept files were rotated away does lose some.
            for number in itertools.islice(numbers, min(count, 9)):
                log.append(entry(number))
                written.append(f"line {number}")

        write(before)
        left = iter(steps)
        going = itertools.chain([True] * len(steps), itertools.repeat(False))
        found = read_log(path, follow=lambda: next(going), wait=lambda _: write(next(left, 0)))
        assert [line.text for line in found] == written


def test_a_reader_that_is_slow_loses_nothing_either(tmp_path: Path) -> None:
    """The files are rotated while the reader's consumer has a line in hand."""
    path = tmp_path / "service.log"
    log = ServiceLog(path, max_bytes=3 * len(entry(10)))
    log.append(entry(10))
    lines = read_log(path, follow=lambda: False)
    found = [next(lines).text]
    for number in range(11, 20):
        log.append(entry(number))
    found += [line.text for line in lines]
    assert found == [f"line {number}" for number in range(10, 20)]


def test_no_line_is_lost_while_another_process_rotates(tmp_path: Path) -> None:
    path, done = tmp_path / "service.log", threading.Event()
    log = ServiceLog(path, max_bytes=200 * len(entry(10_000)), keep=3)
    seen = threading.Semaphore(0)

    def write() -> None:
        for number in range(10_000, 14_000):
            log.append(entry(number))
            if number % 400 == 0:
                assert seen.acquire(timeout=30)  # at most two files ahead of the reader
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    found = []
    for line in read_log(path, follow=lambda: not done.is_set()):
        found.append(line.text)
        if int(line.text.split()[1]) % 400 == 0:
            seen.release()
    writer.join()
    assert found == [f"line {number}" for number in range(10_000, 14_000)]
