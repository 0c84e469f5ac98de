"""Numbers of a service's log: the same for every reader, through rotation, traceback and a clock that was set back."""

from __future__ import annotations

import itertools
import os
import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.core.lines import backwards
from mldeploy_jupyter.serving.log import entry
from mldeploy_jupyter.serving.log.service_log import ServiceLog
from mldeploy_jupyter.targets import numbered_log
from mldeploy_jupyter.targets.numbered_log import NUMBERS_A_MICROSECOND, NumberedLog
from mldeploy_jupyter.targets.process_log import parse_line

BEGIN = datetime(2026, 11, 22, 10, tzinfo=UTC)


class Log:
    """Writes a service's log as a supervisor does, at a time that stands still."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, max_bytes: int = 10_000_000) -> None:
        self.path = folder / "service.log"
        self.writer = ServiceLog(self.path, max_bytes=max_bytes)
        self.now = BEGIN
        monkeypatch.setattr(
            entry, "utc_now", lambda: f"{self.now:%Y-%m-%dT%H:%M:%S}.{self.now.microsecond // 1000:03}Z"
        )

    def write(self, text: str, **fields: object) -> None:
        self.writer.append(entry.format_line(text, logger="print", **fields))

    def read(self, after: int = 0) -> dict[int, str]:
        return numbers(self.path, after)


def numbers(path: Path, after: int = 0) -> dict[int, str]:
    """Every line by its number, as a new reader finds them."""
    log = NumberedLog(path)
    log.refresh()
    return lines_of(log, after)


def lines_of(log: NumberedLog, after: int = 0) -> dict[int, str]:
    found = {}
    for one in log.entries(after):
        for number, text in enumerate(one.text.split("\n"), one.number):
            assert number not in found
            found[number] = text
    return found


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Log:
    return Log(tmp_path, monkeypatch)


def test_numbers_are_the_time_of_the_first_entry_and_the_bytes_before_each(log: Log) -> None:
    for text in "abc":
        log.write(text)
        log.now += timedelta(hours=1)
    a, b, _ = log.path.read_bytes().splitlines(keepends=True)
    first = round(BEGIN.timestamp() * 1_000_000) * NUMBERS_A_MICROSECOND
    assert log.read() == {first: "a", first + len(a): "b", first + len(a + b): "c"}


def test_numbers_are_exact_in_javascript_whatever_the_clock_says(log: Log) -> None:
    log.now = datetime(2040, 12, 31, tzinfo=UTC)
    log.write("late")
    assert min(log.read()) == round(log.now.timestamp() * 1_000_000) * NUMBERS_A_MICROSECOND < 2**53
    log.path.write_bytes(entry.format_line("later", logger="print").replace(b"2040", b"9999"))
    assert 2**52 < min(log.read()) < 2**53


def test_rotation_changes_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path, monkeypatch, max_bytes=1000)
    kept = NumberedLog(log.path)
    seen: dict[int, str] = {}
    for number in range(100):
        log.write(f"line {number}")
        log.now += timedelta(milliseconds=1)
        for found in (kept, NumberedLog(log.path)):
            found.refresh()
            now = lines_of(found)
            assert all(seen.setdefault(n, text) == text for n, text in now.items())
    assert list(seen.values()) == [f"line {number}" for number in range(100)] == [seen[n] for n in sorted(seen)]
    assert (kept.last, kept.count_until(kept.last)) == (max(seen), len(lines_of(kept)))
    assert kept.first == min(lines_of(kept)) > min(seen)


def test_the_lines_of_a_traceback_have_numbers_of_their_own(log: Log) -> None:
    log.write("one")
    log.write("failed", traceback="Traceback:\n  File\nKeyError")
    log.write("a\nb")
    log.write("a backslash and an n: \\n")
    log.write("last")
    found = log.read()
    assert list(found.values()) == [
        "one", "failed", "Traceback:", "  File", "KeyError", "a", "b", "a backslash and an n: \\n", "last",
    ]  # fmt: skip
    n = list(found)
    assert [b - a for a, b in itertools.pairwise(n[1:5])] == [1, 1, 1] and n[6] == n[5] + 1
    numbered = NumberedLog(log.path)
    numbered.refresh()
    assert (numbered.first, numbered.last) == (n[0], n[-1])
    assert [numbered.count_until(number) for number in n] == list(range(1, 10))
    assert [numbered.before_last(count) for count in range(11)] == [*n[::-1], 0, 0]
    assert next(iter(log.read(after=n[2]).values())) == "failed"  # the entry that has the next line
    assert next(iter(log.read(after=n[4]).values())) == "a" and log.read(after=n[-1]) == {}


def test_a_clock_that_was_set_back_repeats_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path, monkeypatch, max_bytes=300)
    for number in range(6):
        log.write(f"line {number}")
        log.now -= timedelta(hours=1)
    assert (tmp_path / "service.log.1").exists()
    found = log.read()
    assert list(found) == sorted(found) and list(found.values())[-1] == "line 5"


def test_a_file_in_the_place_of_another_is_read_from_its_beginning(log: Log) -> None:
    log.write("old")
    known = NumberedLog(log.path)
    known.refresh()
    log.now += timedelta(days=1)
    text = entry.format_line("new", logger="print")
    with log.path.open("r+b") as file:  # the same inode, as after a file was deleted and another one created
        file.truncate()
        file.write(text + text)
    known.refresh()
    assert list(lines_of(known).values()) == ["new", "new"]


def test_a_log_that_is_not_there_and_one_without_times(tmp_path: Path) -> None:
    assert numbers(tmp_path / "service.log") == {}
    (tmp_path / "service.log").write_text("no time\n\nat all\n")
    assert numbers(tmp_path / "service.log") == {1: "no time", 9: "", 10: "at all"}


def test_nothing_is_read_while_nothing_is_written(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write("one")
    numbered = NumberedLog(log.path)
    before = numbered.signature()
    numbered.refresh()
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("a file was opened"))
    numbered.refresh()
    assert numbered.signature() == before
    os.utime(log.path)
    numbered.refresh()


LINES = st.lists(
    st.one_of(
        st.builds(lambda text: entry.format_line(text, logger="print"), st.text("a\n\\é", max_size=6)),
        st.builds(lambda text: entry.format_line("", logger="server", traceback=text), st.text("b\n", max_size=6)),
        st.sampled_from([b"\n", b"no entry\n", b"a backslash and an n: \\n\n"]),
    ),
    max_size=12,
)


@given(files=st.lists(LINES, min_size=1, max_size=4), torn=st.booleans(), chunk=st.sampled_from([1, 7, 100, 1 << 20]))
def test_every_answer_is_that_of_a_reader_of_every_line(files: list[list[bytes]], torn: bool, chunk: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbered_log, "COUNTED_BYTES", chunk)
        patch.setattr(backwards, "BLOCK_BYTES", chunk)
        path = Path(folder, "service.log")
        for number, lines in enumerate(reversed(files)):
            content = b"".join(lines)
            path.with_name(f"service.log.{number}" if number else path.name).write_bytes(
                content[: -1 if torn else None]
            )
        log = NumberedLog(path)
        log.refresh()
        kept = lines_of(log)
        numbers = list(kept)
        whole = [b"".join(lines)[: -1 if torn else None].splitlines() for lines in files]
        if torn and whole[-1] and files[-1][-1] != b"\n":
            whole[-1].pop()  # the newest file's last line is still being written
        assert list(kept.values()) == [
            text for lines in whole for line in lines for text in parse_line(line).text.split("\n")
        ]
        assert numbers == sorted(set(numbers))
        assert (log.first, log.last) == ((numbers[0], numbers[-1]) if numbers else (0, 0))
        for count in range(len(numbers) + 2):
            assert log.before_last(count) == (numbers[-count - 1] if count < len(numbers) else 0)
        for at, number in enumerate(numbers):
            assert log.count_until(number) == at + 1
            later = [n for n in lines_of(log, number) if n > number]
            assert later == numbers[at + 1 :]


def test_a_first_look_reads_the_same_of_a_log_of_any_size(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def bytes_read(lines: int) -> int:
        log.path.write_bytes(entry.format_line("a line", logger="print") * lines)
        begin = blocks_read()
        numbered = NumberedLog(log.path)
        numbered.refresh()
        assert sum(1 for _ in numbered.entries(numbered.before_last(1000))) == 1000
        return blocks_read() - begin

    assert bytes_read(100_000) <= bytes_read(10_000) + 2 * backwards.BLOCK_BYTES


def blocks_read() -> int:
    """The bytes that this process has read, from disk or not."""
    return int(re.findall(r"rchar: (\d+)", Path("/proc/self/io").read_text())[0])


def test_lines_that_were_counted_are_not_read_again(log: Log) -> None:
    log.path.write_bytes(entry.format_line("a line", logger="print") * 100_000)
    numbered = NumberedLog(log.path)
    numbered.refresh()
    assert numbered.count_until(numbered.last) == 100_000
    log.write("one more")
    numbered.refresh()
    begin = blocks_read()
    assert numbered.count_until(numbered.last) == 100_001
    assert blocks_read() - begin < 2 * backwards.BLOCK_BYTES
