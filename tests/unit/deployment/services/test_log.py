"""A log that its target can only list gets numbers from the times of its entries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.deployment.services import log as service_log
from mldeploy_jupyter.deployment.services.log import open_numbered_log
from mldeploy_jupyter.targets import LogLine, NumberedLog
from mldeploy_jupyter.targets.numbered_log import NumberedLog as FileLog

SECOND = 1_000_000  # numbers


class Lister:
    """A target that lists its log."""

    def __init__(self, *entries: LogLine) -> None:
        self.entries = list(entries)

    def logs(self, service: ServiceRecord, *, tail: int | None, follow: bool) -> Iterator[LogLine]:
        return iter(self.entries[-(tail or 0) :])


def at(second: int, text: str) -> LogLine:
    return LogLine(f"2026-11-22T10:00:{second:02}.000Z", "pod", text)


@pytest.fixture
def lister(monkeypatch: pytest.MonkeyPatch) -> Lister:
    lister = Lister(at(1, "one"), at(1, "two\nof two lines"), LogLine("", "pod", "no time"), at(2, "last"))
    monkeypatch.setattr(service_log, "open_service_target", lambda *_: lister)
    return lister


def read(log: NumberedLog, after: int = 0) -> list[tuple[int, str]]:
    return [(entry.number, entry.text) for entry in log.entries(after)]


def test_numbers_follow_the_times(workspace: WorkspaceFolder, lister: Lister) -> None:
    log = open_numbered_log(workspace, ServiceRecord("svc"))
    assert (log.first, log.last, log.count_until(0), read(log)) == (0, 0, 0, [])
    log.refresh()
    found = read(log)
    first = found[0][0]
    assert found == [
        (first, "one"), (first + 1, "two\nof two lines"), (first + 3, "no time"), (first + SECOND, "last"),
    ]  # fmt: skip
    assert (log.first, log.last) == (first, first + SECOND)
    assert [log.count_until(first + n) for n in (-1, 0, 1, 2, 3, 9, SECOND)] == [0, 1, 2, 3, 4, 4, 5]
    assert [text for _, text in read(log, first + 1)] == ["two\nof two lines", "no time", "last"]
    assert log.before_last(3) == first + 1 and log.before_last(9) == 0


def test_an_entry_keeps_its_number_when_older_ones_are_gone(workspace: WorkspaceFolder, lister: Lister) -> None:
    log = open_numbered_log(workspace, ServiceRecord("svc"))
    log.refresh()
    last, before = read(log)[-1], log.signature()
    del lister.entries[:2]
    lister.entries.append(at(3, "new"))
    assert log.signature() != before
    log.refresh()
    assert last in read(log) and read(log, last[0])[-1][1] == "new"


def test_a_target_with_files_opens_its_own(workspace: WorkspaceFolder) -> None:
    opened: Any = open_numbered_log(workspace, ServiceRecord("svc"))
    assert isinstance(opened, FileLog)
