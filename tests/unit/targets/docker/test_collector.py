"""Every line of an engine's log is copied once, also where a process was killed while it copied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mldeploy_jupyter.targets.docker import collector, log
from mldeploy_jupyter.targets.docker.collector import _LogFile, _Position, split_stamp
from mldeploy_jupyter.targets.docker.names import ServiceContainer, read_container
from mldeploy_jupyter.targets.process_log import parse_line

FIRST, SECOND = "2026-11-27T08:09:19.068000001Z", "2026-11-27T08:09:19.068000002Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "service.log"


@pytest.fixture
def container() -> ServiceContainer:
    labels = {"io.mldeploy.service": "churn", "io.mldeploy.role": "service", "io.mldeploy.revision": "2"}
    return read_container({"Id": "c1", "Names": ["/churn-2"], "State": "running", "Labels": labels})


def entry(text: str) -> bytes:
    return json.dumps({"time": FIRST, "logger": "print", "message": text}).encode() + b"\n"


def test_lines_with_the_same_stamp_are_told_apart_by_their_number():
    position = _Position()
    position.begin()
    assert [position.is_new(stamp) for stamp in (FIRST, FIRST, SECOND)] == [True, True, True]
    position.begin()  # the engine sends what has the last stamp again, and one line more
    assert [position.is_new(stamp) for stamp in (FIRST, SECOND, SECOND)] == [False, False, True]
    assert position.since is not None and position.since < 1795766959.07


def test_a_frame_has_its_stamp_before_its_text():
    assert split_stamp(FIRST.encode() + b" a b\n") == (FIRST, b"a b\n")


def test_lines_are_appended_once_and_the_position_survives(path, container):
    file = _LogFile(path)
    file.position(container)
    assert file.append(container, [(FIRST, entry("one")), (SECOND, entry("two"))])
    file.save()
    again = _LogFile(path)
    again.position(container)
    assert not again.append(container, [(FIRST, entry("one")), (SECOND, entry("two"))])
    assert path.read_bytes() == entry("one") + entry("two")


def test_lines_of_a_process_that_died_before_it_recorded_them_are_copied_once(path, container):
    file = _LogFile(path)
    file.position(container)
    file.append(container, [(FIRST, entry("one"))])
    file.save()
    file.append(container, [(SECOND, entry("two"))])  # and it dies
    again = _LogFile(path)
    again.position(container)
    again.append(container, [(FIRST, entry("one")), (SECOND, entry("two"))])
    assert path.read_bytes() == entry("one") + entry("two")


def test_a_long_line_comes_in_several_frames(path, container):
    file = _LogFile(path)
    file.position(container)
    whole = entry("x" * 40_000)
    assert not file.append(container, [(FIRST, whole[:16384])])
    assert file.append(container, [(SECOND, whole[16384:])])
    assert path.read_bytes() == whole


def test_what_is_no_entry_becomes_one(path, container):
    file = _LogFile(path)
    file.position(container)
    file.append(container, [(FIRST, b"error: no such command \xff\n")])
    line = parse_line(path.read_bytes())
    assert (line.text, line.time, line.source) == ("error: no such command \\xff", "2026-11-27T08:09:19.068Z", "r2 1")


def test_a_log_that_grows_is_rotated(path, container, monkeypatch):
    monkeypatch.setattr(collector, "MAX_BYTES", 100)
    file = _LogFile(path)
    file.position(container)
    for number in range(3):
        file.append(container, [(f"2026-11-27T08:09:2{number}.000000000Z", entry(f"line {number}"))])
        file.save()
    assert path.read_bytes() == entry("line 2")
    assert path.with_name("service.log.2").read_bytes() == entry("line 0")


def test_a_damaged_state_begins_anew(path, container):
    path.with_name("collected.json").write_text('{"size": "x", "containers": {"c1": [1]}}')
    file = _LogFile(path)
    assert file.position(container).since is None


def test_a_service_without_a_folder_has_nothing_to_copy_and_nobody_waits(tmp_path):
    """Reading the log of a service that never ran, or was deleted, took a second: as long as another may copy."""

    def away() -> None:
        raise AssertionError("the engine was asked")

    copier = collector.LogCollector(away, "w", "svc", tmp_path / "services" / "svc" / "logs" / "service.log")
    log.collect(copier, wait=lambda _: pytest.fail("it waited"))
    assert not (tmp_path / "services").exists()
