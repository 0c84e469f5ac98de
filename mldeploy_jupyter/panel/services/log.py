"""The log of a service as the protocol has it: `service.log` and `service.logText`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.core.text import WHOLE, clean
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.log_lines import LEVELS, Line, LogFilter, all_text, read_page
from mldeploy_jupyter.serving.log.entry import describe_ids

if TYPE_CHECKING:
    from mldeploy_jupyter.targets import LogLine, NumberedLog


class ServiceLog:
    """The log of one service; several views may read it at once."""

    def __init__(self, log: NumberedLog) -> None:
        self._log = log
        self.signature, self.refresh = log.signature, log.refresh
        self.before_last, self.count_until = log.before_last, log.count_until

    @property
    def first(self) -> int:
        return self._log.first

    @property
    def last(self) -> int:
        return self._log.last

    @property
    def total(self) -> int:
        return self._log.count_until(self._log.last)

    def lines(self, after: int = 0, wanted: LogFilter | None = None) -> Iterator[Line]:
        may_match = _raw_filter(wanted) if wanted is not None else None
        for entry in self._log.entries(after, may_match):
            for line in _entry_lines(entry):
                if line["n"] > after:
                    yield line


def open_log(context: PanelContext, parameters: dict[str, Any]) -> ServiceLog:
    """The log of the service that a request names, up to now. Raises as `deployment.open_log`."""
    folder = context.folder(parameters.get("workspace", ""))
    opened = deployment.open_log(folder, parameters["service"])
    log = context.kept(("service", folder.id, parameters["service"]), lambda: ServiceLog(opened))
    log.refresh()
    return log


def answer_log(context: PanelContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """The answer to `service.log`."""
    return read_page(open_log(context, parameters), parameters)


def answer_log_text(context: PanelContext, parameters: dict[str, Any]) -> dict[str, str]:
    """The answer to `service.logText`: every line with its time, source and request, for a file."""
    lines = open_log(context, parameters).lines()
    return {"name": f"{parameters['service']}.log", "text": all_text(lines, format_line)}


def format_line(line: Line) -> str:
    """A line of a service's log as text."""
    source = f"r{line['revision']} {line['source']}" if line["revision"] else line["source"]
    words = [
        line["time"],
        f"[{source}]" if source else "",
        line["requestId"],
        clean(line["text"], colour=False, limit=WHOLE),
    ]
    return " ".join(word for word in words if word)


# The loggers whose entries are shown as their message is, without other words.
_AS_WRITTEN = tuple(f'"logger":"{name}"'.encode() for name in ("print", "stderr", "raw", "supervisor", "server"))
_SIMPLE = re.compile(r"[a-z0-9 ._-]+")  # texts that JSON writes as they are


def _raw_filter(wanted: LogFilter) -> Callable[[bytes], bool] | None:
    """Tells of an entry as it is in the file whether one of its lines may be wanted; parsing it takes much longer."""
    checks: list[Callable[[bytes], bool]] = []
    if wanted.level == "error":
        checks.append(lambda line: b'"error"' in line)
    elif wanted.level:
        checks.append(lambda line: b'"warning"' in line or b'"error"' in line or b'"status":4' in line)
    if wanted.revision:
        revision = re.compile(rb'"revision":"?%d\b|\[r%d ' % (wanted.revision, wanted.revision))
        checks.append(lambda line: revision.search(line) is not None)
    if wanted.search and _SIMPLE.fullmatch(wanted.search):
        search = wanted.search.encode()

        def may_have(line: bytes) -> bool:
            as_written = any(mark in line for mark in _AS_WRITTEN) and b'"level":"info"' in line
            return not as_written or search in line.lower()

        checks.append(may_have)
    return (lambda line: all(check(line) for check in checks)) if checks else None


_WORKER = re.compile(r"r(\d+) (\d+)")  # how a log names the process of a worker: its revision and pid


def _entry_lines(entry: LogLine) -> Iterator[Line]:
    """The lines of an entry: several where it has a traceback."""
    data, ids = entry.entry, entry.request_ids
    prefix = f"[{describe_ids(ids)}] " if ids else ""
    level = entry.level if entry.level in LEVELS else ""
    status = data.get("status")
    if data.get("logger") == "access" and level == "info" and isinstance(status, int) and 400 <= status < 500:
        level = "warning"  # the client's mistake; one of the service has the level error already
    worker = _WORKER.fullmatch(entry.source)
    known = {
        "time": entry.time,
        "elapsedSeconds": None,
        "stage": "",
        "level": level,
        "source": f"worker {worker[2]}" if worker else "server" if data.get("logger") == "supervisor" else entry.source,
        "revision": int(worker[1]) if worker else 0,
        "requestId": ids[0] if ids else "",
    }
    for number, text in enumerate(entry.text.split("\n")):
        mark = "\r" if text.startswith("\r") else ""  # it replaces a line before
        text = mark + text.removeprefix(mark).removeprefix(prefix)
        yield {"n": entry.number + number, **known, "text": text}
