from __future__ import annotations

import os
from pathlib import Path

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
