"""What happened to a service after it was live: `services/<name>/events.jsonl`, one JSON object a line.

`{"time", "kind", "text", "data"}`; `kind` is live, unhealthy, died, stopped, or worker-replaced, and `time` is when the
service was asked. Several processes may watch a service: each change is written once, by the first that finds it, under
a lock.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.files import private_opener
from mldeploy_jupyter.core.records import utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

EVENTS_FILE = "events.jsonl"
MAX_BYTES = 256_000  # of the file; then the older half is dropped

Event = dict[str, Any]


def events_path(folder: WorkspaceFolder, service: str) -> Path:
    """The file with the service's events."""
    return folder.services / service / EVENTS_FILE


def read_service_events(folder: WorkspaceFolder, service: str, limit: int = 100) -> list[Event]:
    """The last events, newest first. A line that is damaged is left out; [] when there is no file."""
    try:
        lines = events_path(folder, service).read_bytes().splitlines()
    except OSError:
        return []
    found = [event for line in lines if (event := _parse(line)) is not None]
    return found[-limit:][::-1]


def record_service_event(
    folder: WorkspaceFolder, service: str, kind: str, text: str, data: dict[str, Any] | None = None, *, asked: str = ""
) -> bool:
    """Appends an event, unless the last one of its subject says the same already. Returns whether it did.

    A worker's replacement is one subject, each other kind a state of the service. `asked` is when the service was asked
    (`utc_now()`, the default), and becomes the event's time: what another process found later is not undone. Nothing is
    written for a service whose folder is gone, or on a disk that is full.
    """
    data, asked = data or {}, asked or utc_now()
    # A service is live when it begins, and who stops it knows: such an event is news only after another one.
    create = 0 if kind in ("live", "stopped") else os.O_CREAT
    try:
        descriptor = private_opener(str(events_path(folder, service)), os.O_RDWR | os.O_APPEND | create)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        content = os.pread(descriptor, 2 * MAX_BYTES, 0)
        lines = content.splitlines()
        subject = kind == "worker-replaced"
        last = next(
            (e for line in reversed(lines) if (e := _parse(line)) and (e["kind"] == "worker-replaced") == subject), None
        )
        if last is not None and last["kind"] == kind and (not subject or last.get("data") == data):
            return False
        if last is not None and asked < str(last.get("time") or "") <= utc_now():  # later: the clock was set back
            return False
        if last is None and kind in ("live", "stopped"):
            return False
        event = {"time": asked, "kind": kind, "text": text, "data": data}
        line = json.dumps(event).encode() + b"\n"
        if len(content) > MAX_BYTES:
            with suppress(OSError):
                kept = b"\n".join(lines[len(lines) // 2 :]) + b"\n"
                os.ftruncate(descriptor, 0)
                os.write(descriptor, kept)
        separator = b"" if not content or content.endswith(b"\n") else b"\n"  # after a line that was torn
        os.write(descriptor, separator + line)
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _parse(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("kind"), str) else None
