"""Which notebook cell a script came from, so that an error names the line of the cell.

A cell's text is kept under the digest of the script it wrote. A service runs exactly that script, so the line
stays right after the cell was moved, edited or deleted.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.files import atomic_write, file_lock
from mldeploy_jupyter.core.records import JsonRecord

KEPT_PER_FILE = 50


@dataclass(frozen=True)
class CellRecord(JsonRecord):
    """One run of a cell that wrote a script.

    `file` is the script's whole path: a script of the same name in another folder is another one. `source` is the
    whole text of the cell with its magic line, and script line + `offset` is the line of the cell (both from 1).
    `time` is ISO 8601 in UTC. `version` counts the changes of this file's text from 1; 0 means not yet given.
    `notebook`, `cell_id` and `execution_count` (the prompt number) are as far as the front end tells them.
    """

    script_digest: str
    file: str
    source: str
    offset: int = 1
    cell_id: str = ""
    notebook: str = ""
    execution_count: int | None = None
    time: str = ""
    version: int = 0


def script_digest(content: str | bytes) -> str:
    """The SHA-256 of a script as it is written to its file (UTF-8), in hex."""
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()


def save(folder: Path, record: CellRecord) -> CellRecord:
    """Keeps the record and returns it with its version: the newest one's when the text did not change, else the next.

    The last 50 texts of a file are kept. Raises `OSError` when the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file_lock(folder / ".lock"):
        kept = _of_file(folder, record.file)
        newest = max(kept, key=lambda old: old.version, default=None)
        again = newest is not None and newest.script_digest == record.script_digest
        # An older text that is run again is the newest once more, so it counts on.
        record = replace(record, version=(newest.version if newest else 0) + (0 if again else 1))
        content = json.dumps(record.to_dict(), ensure_ascii=False).encode("utf-8", "backslashreplace")
        # Not durable: after a loss of power, messages name the script's line instead of the cell's.
        atomic_write(folder / _name(record), content, durable=False)
        others = [old for old in kept if old.script_digest != record.script_digest]
        for old in sorted(others, key=lambda old: old.version, reverse=True)[KEPT_PER_FILE - 1 :]:
            (folder / _name(old)).unlink(missing_ok=True)
    return record


def find(folder: Path, digest: str) -> CellRecord | None:
    """The last run of a cell that wrote a script with this digest, or None."""
    found = [record for path in folder.glob(f"*-{digest}.json") if (record := _read(path)) is not None]
    return max(found, key=lambda record: record.time, default=None)


def newest_version(folder: Path, file: str) -> int:
    """The version of the newest text run for the file, 0 when none is known."""
    return max((record.version for record in _of_file(folder, file)), default=0)


def where(record: CellRecord, line: int, *, newest: int = 0, timezone: tzinfo | None = None) -> str:
    """The script's line as a place in the notebook: "cell [3] line 7, run at 14:03".

    `newest` is the newest version of the file when it is known; a newer one than this record's is named:
    ", version 1; version 2 was run since". Times are shown in `timezone`, by default the local one.
    """
    cell = f"cell [{record.execution_count}]" if record.execution_count is not None else "cell"
    said = f"{cell} line {line + record.offset}"
    with suppress(ValueError):
        said += f", run at {datetime.fromisoformat(record.time).astimezone(timezone):%H:%M}"
    if 0 < record.version < newest:
        said += f", version {record.version}; version {newest} was run since"
    return said


def excerpt(record: CellRecord, line: int, context: int = 2) -> list[dict[str, Any]]:
    """The lines of the cell around the script's line, as `{"line", "text", "guilty"}`."""
    return lines_around(record.source, line + record.offset, context)


def lines_around(text: str, line: int, context: int = 2) -> list[dict[str, Any]]:
    """The lines of any text around `line` (from 1); empty when there is no such line."""
    lines = text.split("\n")
    if not 1 <= line <= len(lines):
        return []
    shown = range(max(1, line - context), min(len(lines), line + context) + 1)
    return [{"line": n, "text": lines[n - 1].rstrip("\r"), "guilty": n == line} for n in shown]


def _name(record: CellRecord) -> str:
    return f"{_file_key(record.file)}-{record.script_digest}.json"


def _file_key(file: str) -> str:
    return hashlib.sha256(file.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _of_file(folder: Path, file: str) -> list[CellRecord]:
    return [r for path in folder.glob(f"{_file_key(file)}-*.json") if (r := _read(path)) is not None]


def _read(path: Path) -> CellRecord | None:
    try:
        return CellRecord.from_dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError, AttributeError):
        return None  # pruned meanwhile, or not ours
