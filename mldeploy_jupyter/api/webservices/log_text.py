"""A service's log as text and as data: its last lines, and new ones as they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.api.arguments import check_whole_number
from mldeploy_jupyter.core.records import utc_now
from mldeploy_jupyter.core.text import without_overwritten
from mldeploy_jupyter.serving.log.entry import describe_ids, printable

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.targets import LogLine

SHORT_ID = 12  # characters of a request's id that are shown


def read_text(folder: WorkspaceFolder, name: str, num_lines: Any, *, raw: bool, timestamps: bool) -> str:
    """The last `num_lines` lines of the log. Raises `UserErrorException` when `num_lines` is not a whole number."""
    day = today()
    entries = without_overwritten(_read(folder, name, num_lines), lambda line: (line.source, line.text))
    texts = [line.text.strip("\r") if raw else format_log_line(line, timestamps, day) for line in entries]
    lines = "\n".join(texts).split("\n")
    return "\n".join(lines[max(0, len(lines) - num_lines) :])


def read_entries(folder: WorkspaceFolder, name: str, num_lines: Any) -> list[dict[str, Any]]:
    """The last entries as data. Raises as `read_text`."""
    lines = _read(folder, name, num_lines)
    return [line.entry or {"time": line.time, "logger": line.source, "message": line.text} for line in lines]


def follow_text(folder: WorkspaceFolder, name: str, num_lines: Any, *, timestamps: bool) -> Iterator[str]:
    """Yields the last `num_lines` lines, then new entries until the service stops. Raises as `read_text`."""
    first, entries, skipped = last_lines(list(_read(folder, name, num_lines)), num_lines)
    for line in _read(folder, name, entries, follow=True):
        text = format_log_line(line, timestamps, today())
        yield "\n".join(text.split("\n")[skipped:]) if line == first else text
        first = None  # only the first entry may begin in the middle


def _read(folder: WorkspaceFolder, name: str, num_lines: Any, follow: bool = False) -> Iterator[LogLine]:
    tail = check_whole_number("num_lines", num_lines, 0)
    return deployment.read_logs(folder, name, tail=tail, follow=follow)


def today() -> str:
    """The date in UTC, as it begins the times of the log."""
    return utc_now()[:10]


def format_log_line(line: LogLine, timestamps: bool = False, today: str = "") -> str:
    """A log entry as text: time in UTC, revision or source, the request's short id, text; further lines are indented.

    The date is omitted when it equals `today`, such as 2026-11-26. With `timestamps` each line has the full time, the
    source with its process id, and the full id.
    """
    if not line.time:
        return str(line.text)
    lines = [text.strip("\r").rpartition("\r")[2] for text in line.text.split("\n")]  # the last state of a progress bar
    if timestamps:
        return "\n".join(f"{line.time} [{line.source}] {text}" for text in lines)
    words = [f"{line.time[11:19]}Z", line.source.partition(" ")[0]]
    if line.time[:10] != today:
        words.insert(0, line.time[5:10])
    if line.request_ids:
        prefix = f"[{describe_ids(line.request_ids)}] "
        lines = [text.removeprefix(prefix) for text in lines]
        words.append(printable(short_id(line.request_ids[0])))
    return "\n    ".join([" ".join([*words, lines[0]]), *lines[1:]])


def last_lines(entries: list[LogLine], count: int) -> tuple[LogLine | None, int, int]:
    """Where the last `count` lines begin: the entry, its position from the end, and how many of its lines to skip."""
    left = count
    for number, entry in enumerate(reversed(entries), 1):
        left -= entry.text.count("\n") + 1
        if left <= 0:
            return entry, number, -left
    return None, len(entries), 0


def short_id(request_id: str) -> str:
    """The last group of a generated id, which tells workers and requests apart; a client's own short id as it is."""
    return request_id if len(request_id) <= SHORT_ID else request_id[-SHORT_ID:]
