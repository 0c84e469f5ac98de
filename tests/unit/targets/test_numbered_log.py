"""Numbers of a service's log: the same for every reader, through rotation, traceback and a clock that was set back."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mldeploy_jupyter.core.lines import index as line_index
from mldeploy_jupyter.serving.log import entry
from mldeploy_jupyter.serving.log.service_log import ServiceLog
from mldeploy_jupyter.targets.numbered_log import NumberedLog
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


def test_numbers_are_those_of_the_first_entrys_time(log: Log) -> None:
    for text in "abc":
        log.write(text)
        log.now += timedelta(hours=1)
    first = round(BEGIN.timestamp() * 1_000_000)
    assert log.read() == {first: "a", first + 1: "b", first + 2: "c"}
    assert first + 2 < 2**53  # JavaScript has it exactly


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
    assert (kept.last, kept.total) == (max(seen), len(lines_of(kept)))
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
    first = min(found)
    assert list(found) == list(range(first, first + 9))
    numbered = NumberedLog(log.path)
    numbered.refresh()
    assert (numbered.total, numbered.last) == (9, first + 8)
    assert numbered.before_last(3) == first + 5 and numbered.before_last(100) == 0
    assert next(iter(log.read(after=first + 2).values())) == "failed"  # the entry that has the next line
    assert next(iter(log.read(after=first + 4).values())) == "a" and log.read(after=first + 8) == {}


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
    assert numbers(tmp_path / "service.log") == {1: "no time", 2: "", 3: "at all"}


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


@pytest.mark.parametrize("chunk_bytes", [1, 200, 1 << 20])
def test_numbers_do_not_depend_on_how_many_lines_are_read_at_once(
    log: Log, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    monkeypatch.setattr(line_index, "CHUNK_BYTES", chunk_bytes)
    wanted, number = {}, round(BEGIN.timestamp() * 1_000_000)
    for at in range(60):
        text = "one\ntwo\\three\nfour" if at % 7 in (0, 1) else f"line {at}" if at % 11 else ""
        log.write(text, **({"traceback": "  a\n  b"} if at % 13 == 5 else {}))
        for line in lines_of_entry(log.path, at):
            wanted[number] = line
            number += 1
    assert log.read() == wanted
    reader = NumberedLog(log.path)
    reader.refresh()
    assert (reader.first, reader.last, reader.total) == (min(wanted), max(wanted), len(wanted))


def lines_of_entry(path: Path, at: int) -> list[str]:
    return parse_line(path.read_bytes().splitlines()[at]).text.split("\n")
