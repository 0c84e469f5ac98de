"""The log of a service as the protocol has it: `service.log` and `service.logText`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.core.text import clean
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.log_lines import LEVELS, Line, read_page
from mldeploy_jupyter.serving.log.entry import describe_ids

if TYPE_CHECKING:
    from mldeploy_jupyter.targets import LogLine, NumberedLog


class ServiceLog:
    """The log of one service; several views may read it at once."""

    def __init__(self, log: NumberedLog) -> None:
        self._log = log
        self.signature, self.refresh, self.before_last = log.signature, log.refresh, log.before_last

    @property
    def first(self) -> int:
        return self._log.first

    @property
    def last(self) -> int:
        return self._log.last

    @property
    def total(self) -> int:
        return self._log.total

    def lines(self, after: int = 0) -> Iterator[Line]:
        for entry in self._log.entries(after):
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
    return {"name": f"{parameters['service']}.log", "text": "".join(f"{format_line(line)}\n" for line in lines)}


def format_line(line: Line) -> str:
    """A line of a service's log as text."""
    source = f"r{line['revision']} {line['source']}" if line["revision"] else line["source"]
    words = [line["time"], f"[{source}]" if source else "", line["requestId"], clean(line["text"], colour=False)]
    return " ".join(word for word in words if word)


def _entry_lines(entry: LogLine) -> Iterator[Line]:
    """The lines of an entry: several where it has a traceback."""
    data, ids = entry.entry, entry.request_ids
    prefix = f"[{describe_ids(ids)}] " if ids else ""
    level = entry.level if entry.level in LEVELS else ""
    status = data.get("status")
    if data.get("logger") == "access" and level == "info" and isinstance(status, int) and 400 <= status < 500:
        level = "warning"  # the client's mistake; one of the service has the level error already
    revision = data.get("revision")
    known = {
        "time": entry.time,
        "elapsedSeconds": None,
        "stage": "",
        "level": level,
        "source": _source(entry),
        "revision": revision if isinstance(revision, int) else 0,
        "requestId": ids[0] if ids else "",
    }
    for number, text in enumerate(entry.text.split("\n")):
        yield {"n": entry.number + number, **known, "text": text.removeprefix(prefix)}


def _source(entry: LogLine) -> str:
    """The process that wrote it: `worker 4711`, or `server` for the supervisor."""
    data = entry.entry
    if "revision" in data:
        return f"worker {data.get('pid', '')}".rstrip()
    return "server" if data.get("logger") == "supervisor" else entry.source
