"""Finds out from a service's log what its script raised for one request."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.deployment.plan import open_service_target
from mldeploy_jupyter.targets import LogLine

if TYPE_CHECKING:
    from mldeploy_jupyter.core.diagnosis import Cause, ScriptInfo
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


LOG_SECONDS = 5.0  # allowed for a worker's lines to reach the log: they pass through the supervisor

LOG_LINES = 5000  # of the end of the log that are searched

_RAISED = "run() raised "


def find_request_error(
    folder: WorkspaceFolder, service: ServiceRecord, request_id: str
) -> tuple[str, str, Cause | None]:
    """The exception that the script raised for a request, where, and its cause if it has a name.

    `where` is the line of the cell, or of the script. Both texts are "" when the log does not say. Only for a service
    on this machine.
    """
    from mldeploy_jupyter.core.bundle import builder
    from mldeploy_jupyter.core.diagnosis import SourceMap
    from mldeploy_jupyter.core.diagnosis.package_source import package_source

    revision = folder.open_store().get_revision(service.name, service.revision)
    if not request_id or revision is None or not revision.bundle_digest:
        return "", "", None
    target = open_service_target(folder, service)
    deadline = time.monotonic() + LOG_SECONDS
    while True:
        is_over = time.monotonic() > deadline
        lines = target.logs(service, tail=LOG_LINES, follow=False)
        raised, traceback, answered = _find_exception(request_id, lines)
        # The access entry is written last, so when it is there and no exception is, none will come.
        if raised or answered or is_over:
            break
        time.sleep(0.01)
    try:
        bundle = builder.load(folder.bundles / revision.bundle_digest)
    except (OSError, ValueError):  # damaged: the line is not known, the exception is
        return raised, "", None
    script = bundle.app / bundle.entry_script
    running = Path(revision.settings.get("app_root") or bundle.app) / bundle.entry_script
    frames = re.findall(r'File "([^"]+)", line (\d+)', "\n".join(traceback))
    lines_of_script = [int(line) for file, line in frames if file == str(running)]
    info = _script_info(folder, script)
    own_python = str(revision.settings.get("python") or "") if revision.settings.get("app_root") else ""
    packages = package_source(revision.inference_config, own_python)
    cause = _named_cause(raised, info, {"service": service.name, "updating": True, "packages": packages})
    if not raised or not lines_of_script:
        return raised, "", cause
    return raised, SourceMap(info, {}).locate_line(lines_of_script[-1]).where, cause


def _named_cause(raised: str, script: ScriptInfo, settings: dict[str, Any]) -> Cause | None:
    """The cause of a name or module that the script lacks, or of a body that it does not parse; else None."""
    from mldeploy_jupyter.core.diagnosis import explain

    kind, _, message = raised.partition(": ")
    failure = {"code": "run-raised", "stage": "run", "exception": {"type": kind, "message": message}}
    cause = explain(failure, script=script, settings=settings)
    is_known = kind in ("NameError", "ModuleNotFoundError") or cause.code in ("text-as-file", "text-as-data")
    return cause if is_known else None


def _find_exception(request_id: str, entries: Iterable[LogLine]) -> tuple[str, list[str], bool]:
    """The exception logged for a request, the lines logged with it, and whether the request was answered.

    Every line that belongs to a request starts with its id.
    """
    mark = f"[{request_id}] "
    found = [entry for entry in entries if mark in entry.text]
    lines = [line for entry in found for line in entry.text.split("\n")]
    own = [line.removeprefix(mark) for line in lines if line.startswith(mark)]
    return _exception_text(own), own, any(entry.entry.get("logger") == "access" for entry in found)


def _exception_text(lines: list[str]) -> str:
    """The exception with its whole message, in one line; "" when there is none. Its traceback follows in the log."""
    begin = next((number for number, line in enumerate(lines) if line.startswith(_RAISED)), None)
    if begin is None:
        return ""
    message = [lines[begin].removeprefix(_RAISED)]
    for line in lines[begin + 1 :]:
        if line.startswith(("Traceback (most recent call last)", "  File ")) or not line.strip():
            break
        message.append(line.strip())
    return " ".join(message)


def _script_info(folder: WorkspaceFolder, script: Path) -> ScriptInfo:
    from mldeploy_jupyter.core.diagnosis import ScriptInfo

    return ScriptInfo.from_content(script.read_bytes(), folder.cells, name=script.name)
