from __future__ import annotations

import errno
import json
import os
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from mldeploy_jupyter.core.journal.journal import Event, Journal, JournalReader, follow_events, read_events
from mldeploy_jupyter.core.journal.timeline import fold
from mldeploy_jupyter.core.patience import patience


def test_events_are_numbered_from_one_and_read_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events.jsonl", now=lambda: "2026-01-01T00:00:00.000Z")
    journal.write("check", "started")
    journal.write("check", "finished", seconds=0.25)
    journal.close()
    first, second = read_events(tmp_path / "events.jsonl")
    assert (first.seq, first.stage, first.kind, first.time) == (1, "check", "started", "2026-01-01T00:00:00.000Z")
    assert second.data == {"seconds": 0.25}


def test_a_torn_last_line_is_skipped_and_the_journal_goes_on_after_it(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    journal = Journal(path)
    journal.write("check", "started")
    journal.write("check", "log", "whole")
    journal.close()
    path.write_bytes(path.read_bytes()[:-7])
    assert [event.seq for event in read_events(path)] == [1]
    again = Journal(path)
    again.write("", "state", state="interrupted")
    again.close()
    assert [event.seq for event in read_events(path)] == [1, 2]


@pytest.mark.parametrize("cut", range(2, 60, 7))
def test_a_journal_cut_anywhere_still_reads(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "events.jsonl"
    journal = Journal(path)
    for number in range(3):
        journal.write("bundle", "log", f"line {number}")
    journal.close()
    path.write_bytes(path.read_bytes()[:-cut])
    assert [event.text for event in read_events(path)] == ["line 0", "line 1"]


def test_text_is_kept_raw_and_undecodable_parts_are_escaped(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "e.jsonl")
    journal.write("bundle", "log", "\x1b[31mred\x1b[0m \udcff\u2028 ü")
    journal.close()
    assert len((tmp_path / "e.jsonl").read_bytes().splitlines()) == 1
    (event,) = read_events(tmp_path / "e.jsonl")
    assert event.text == "\x1b[31mred\x1b[0m \udcff\u2028 ü"


def test_the_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    Journal(tmp_path / "e.jsonl").close()
    assert (tmp_path / "e.jsonl").stat().st_mode & 0o777 == 0o600


def test_threads_do_not_tear_each_others_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "e.jsonl")
    threads = [
        threading.Thread(target=lambda: [journal.write("check", "log", "x" * 500) for _ in range(50)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    events = list(read_events(tmp_path / "e.jsonl"))
    assert [event.seq for event in events] == list(range(1, 201))


def test_following_yields_old_and_new_events_to_the_last_line(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    journal = Journal(path)
    journal.write("check", "started")
    script = iter(["check finished", "late"])

    def sleep(_seconds: float) -> None:
        journal.write("check", "log", next(script))

    done = iter([False, False, True])
    texts = [event.text for event in follow_events(path, stop=lambda: next(done), sleep=sleep)]
    assert texts == ["", "check finished", "late"]


def test_following_a_missing_file_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"

    def sleep(_seconds: float) -> None:
        Journal(path).write("check", "started")

    done = iter([False, True])
    assert [e.stage for e in follow_events(path, stop=lambda: next(done), sleep=sleep)] == ["check"]


def test_a_line_that_is_not_an_event_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text(json.dumps({"nothing": 1}) + "\n[]\nnot json\n")
    assert list(read_events(path)) == []


def test_a_reader_waits_for_the_end_of_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = JournalReader(path)
    assert reader.read() == []
    path.write_bytes(b'{"seq":1,"time":"t","stage":"","kind":"log","text":"a')
    assert reader.read() == []
    with path.open("ab") as file:
        file.write(b'b"}\nnot json\n')
    assert [event.text for event in reader.read()] == ["ab"]
    assert reader.read() == []


def test_a_disk_that_comes_back_costs_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "e.jsonl")
    journal.write("check", "started")
    write, errors = os.write, [OSError(errno.EIO, "away"), OSError(errno.ESTALE, "away")]

    def write_a_part_then_fail(fd: int, data: memoryview) -> int:
        if errors:
            write(fd, data[:10])
            raise errors.pop()
        return write(fd, data)

    monkeypatch.setattr(os, "write", write_a_part_then_fail)
    journal.write("check", "log", "after it")
    monkeypatch.undo()
    journal.write("check", "finished")
    journal.close()
    assert [(event.seq, event.text) for event in read_events(journal.path)] == [(1, ""), (2, "after it"), (3, "")]


def test_a_folder_that_comes_back_is_waited_for_and_not_made(tmp_path: Path) -> None:
    folder, away = tmp_path / "d1", tmp_path / "away"
    Journal(folder / "e.jsonl").close()
    folder.rename(away)
    with pytest.raises(FileNotFoundError):  # a command does not wait for what is most likely a mistake
        Journal(folder / "e.jsonl", create=False)
    back = threading.Timer(0.3, away.rename, [folder])
    back.start()
    with patience(60):
        journal = Journal(folder / "e.jsonl", create=False)
    journal.write("check", "started")
    journal.close()
    back.join()
    assert len(list(read_events(folder / "e.jsonl"))) == 1


def test_a_full_disk_loses_events_and_no_deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "e.jsonl")
    journal.write("check", "started")
    write = os.write

    def fill_up(fd: int, data: memoryview) -> int:
        write(fd, data[:10])
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", fill_up)
    journal.write("check", "log", "lost")
    monkeypatch.undo()
    journal.write("check", "finished")
    journal.close()
    assert [event.kind for event in read_events(journal.path)] == ["started", "finished"]


def test_a_long_journal_can_be_read_in_pieces(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events.jsonl")
    for number in range(20):
        journal.write("check", "log", f"line {number}")
    reader, found = JournalReader(journal.path), []
    while reader.offset < journal.path.stat().st_size:
        found += reader.read(100)
    assert [event.text for event in found] == [f"line {number}" for number in range(20)]
    assert reader.read(100) == []


READERS: dict[str, Callable[[Path], object]] = {
    "follow": lambda path: fold(follow_events(path, stop=lambda: True)).lines,
    "continue": lambda path: Journal(path).write("check", "log").seq - 1,
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_journal_of_twenty_megabytes_is_never_in_memory_whole(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path, count = tmp_path / "events.jsonl", 20_000
    line = (
        b'{"seq":%d,"time":"2026-11-27T10:00:00.000Z","stage":"image","kind":"log","text":"'
        + b"a" * 900
        + b'","data":{}}\n'
    )
    path.write_bytes(b"".join(line % number for number in range(1, count + 1)))
    tracemalloc.start()
    assert read(path) == count
    assert tracemalloc.get_traced_memory()[1] < 5_000_000 < path.stat().st_size / 3
    tracemalloc.stop()


BAD_LINES = (
    b'{"seq":"1","time":"t","stage":"","kind":"log"}',
    b'{"seq":0,"time":"t","stage":"","kind":"log"}',
    b'{"seq":%d,"time":"t","stage":"","kind":"log"}' % 10**30,
    b'{"seq":1,"time":5,"stage":"","kind":"log"}',
    b'{"seq":1,"time":"t","stage":"","kind":"log","text":[]}',
    b'{"seq":1,"time":"t","stage":"","kind":"log","data":null}',
    b'{"time":"t"}',
    b"[1, 2]",
    b"7",
    b"[" * 100_000,
)


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_damaged_line_is_no_event_and_hides_no_other(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"seq":1,"time":"t","stage":"","kind":"log"}\n' + line + b"\n")
    assert [event.seq for event in read_events(path)] == [1]
    journal = Journal(path)
    assert journal.write("", "log", "more").seq == 2
    journal.close()


def test_what_a_newer_version_adds_to_an_event_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"seq":1,"time":"t","stage":"check","kind":"log","text":"x","data":{},"new":{"a":1}}\n')
    assert list(read_events(path)) == [Event(1, "t", "check", "log", "x")]


def test_a_folder_in_the_place_of_a_journal_has_no_events_and_stops_no_recovery(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.mkdir()
    assert list(read_events(path)) == JournalReader(path).read() == []
    with pytest.raises(IsADirectoryError):
        Journal(path)
    journal = Journal(path, required=False)
    assert journal.write("", "state", "over", state="interrupted").seq == 1
    journal.close()
