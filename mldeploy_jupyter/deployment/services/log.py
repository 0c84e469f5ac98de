"""A service's log with numbered lines, whether its target numbers them or not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.deployment.plan import open_service_target
from mldeploy_jupyter.targets import LogLine, NumberedLog

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

LISTED_ENTRIES = 10_000  # of the end of a log, where the target can only list it


def open_numbered_log(folder: WorkspaceFolder, service: ServiceRecord) -> NumberedLog:
    """The log of a service that runs here, read from when `refresh` is called.

    A target that keeps its log in files has a method `open_log(service)`. What another one lists is numbered by time.
    """
    target = open_service_target(folder, service)
    open_log: Callable[[ServiceRecord], NumberedLog] | None = getattr(target, "open_log", None)
    if open_log is not None:
        return open_log(service)
    return _ListedLog(lambda: target.logs(service, tail=LISTED_ENTRIES, follow=False))


class _ListedLog:
    """The last entries of a log that can only be listed."""

    def __init__(self, read: Callable[[], Iterator[LogLine]]) -> None:
        self._read = read
        self._entries: list[LogLine] = []
        self._end = 0
        self._signatures = itertools.count()

    def signature(self) -> int:
        """Never the same twice: only a listing tells whether something was written."""
        return next(self._signatures)

    def refresh(self) -> None:
        entries: list[LogLine] = []
        end = 0
        for entry in self._read():
            number = max(end, _microseconds(entry.time), 1)
            entries.append(replace(entry, number=number))
            end = number + entry.text.count("\n") + 1
        self._entries, self._end = entries, end

    @property
    def first(self) -> int:
        return self._entries[0].number if self._entries else 0

    @property
    def last(self) -> int:
        return max(0, self._end - 1)

    def before_last(self, count: int) -> int:
        for entry in reversed(self._entries):
            length = entry.text.count("\n") + 1
            if count < length:
                return entry.number + length - 1 - count
            count -= length
        return 0

    def count_until(self, number: int) -> int:
        return sum(max(0, min(entry.text.count("\n"), number - entry.number) + 1) for entry in self._entries)

    def entries(self, after: int = 0, may_match: Callable[[bytes], bool] | None = None) -> Iterator[LogLine]:
        return (entry for entry in self._entries if entry.number + entry.text.count("\n") > after)


def _microseconds(time: str) -> int:
    try:
        return round(datetime.fromisoformat(time).timestamp() * 1000) * 1000
    except (ValueError, OverflowError):
        return 0
