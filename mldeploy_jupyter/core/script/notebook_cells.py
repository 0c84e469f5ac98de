"""Remembers which notebook cell wrote a script, so that an error in a service names the line of the cell.

The text of a cell is kept under the digest of the script it wrote. A service runs exactly that script, so the line
stays right after the cell was moved, edited or deleted.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from pathlib import Path, PurePath
from typing import Any

from mldeploy_jupyter.core.files import atomic_write, file_lock, make_private_dir, read_json
from mldeploy_jupyter.core.json_record import JsonRecord

KEPT_PER_FILE = 50  # texts of each script file; the oldest are removed


@dataclass(frozen=True)
class CellRecord(JsonRecord):
    """One run of a cell that wrote a script.

    `file` is the script's absolute path: a script of the same name in another folder is another script. `source` is
    the whole text of the cell with its magic line; line N of the script is line N + `offset` of the cell, both counted
    from 1. `time` is ISO 8601 in UTC. `version` counts the changes of this file's text from 1; 0 means not given yet.
    `notebook`, `cell_id` and `execution_count` (the number at the prompt) are known only if the front end tells them.
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


def save_cell(folder: Path, record: CellRecord) -> CellRecord:
    """Stores the record and returns it with its version: the file's newest if the text is the same, else the next.

    The last 50 texts of a file are kept. Raises `OSError` when the folder cannot be written.
    """
    make_private_dir(folder)
    with file_lock(folder / ".lock"):  # two kernels must not give out the same version
        stored = _records_of(folder, record.file)
        newest = max(stored, key=lambda old: old.version, default=None)
        unchanged = newest is not None and newest.script_digest == record.script_digest
        # A text that is run again after another one is the newest again, with a new version.
        record = replace(record, version=(newest.version if newest else 0) + (0 if unchanged else 1))
        content = json.dumps(record.to_dict(), ensure_ascii=False).encode("utf-8", "backslashreplace")
        # Not durable: if it is lost in a power failure, messages name the script's line instead of the cell's.
        atomic_write(folder / _file_name(record), content, durable=False)
        others = [old for old in stored if old.script_digest != record.script_digest]
        for old in sorted(others, key=lambda old: old.version, reverse=True)[KEPT_PER_FILE - 1 :]:
            (folder / _file_name(old)).unlink(missing_ok=True)
    return record


def find_cell(folder: Path, digest: str) -> CellRecord | None:
    """The last run of a cell that wrote a script with this digest, or None."""
    found = [record for path in folder.glob(f"*-{digest}.json") if (record := _read(path)) is not None]
    return max(found, key=lambda record: record.time, default=None)


def newest_version(folder: Path, file: str) -> int:
    """The version of the newest text of the script `file`, 0 when none is known."""
    return max((record.version for record in _records_of(folder, file)), default=0)


def describe_line(record: CellRecord, line: int, *, newest: int = 0, timezone: tzinfo | None = None) -> str:
    """Names a line of the script as a line of the cell: "cell [3] line 7, run at 14:03".

    `newest` is the newest version of the file, if known; when this record is older, both are named: ", version 1;
    version 2 was run since". Times are shown in `timezone`, by default the local one.
    """
    text = f"{_prompt(record)} line {line + record.offset}{_run_at(record, timezone)}"
    if 0 < record.version < newest:
        text += f", version {record.version}; version {newest} was run since"
    return text


def describe_cell(record: CellRecord, *, timezone: tzinfo | None = None) -> str:
    """Names a run of a cell and its notebook, as far as they are known: "cell [3] of churn.ipynb, run at 14:03"."""
    notebook = f" of {PurePath(record.notebook).name}" if record.notebook else ""
    return f"{_prompt(record)}{notebook}{_run_at(record, timezone)}"


def _prompt(record: CellRecord) -> str:
    return f"cell [{record.execution_count}]" if record.execution_count is not None else "cell"


def _run_at(record: CellRecord, timezone: tzinfo | None) -> str:
    with suppress(ValueError):
        return f", run at {datetime.fromisoformat(record.time).astimezone(timezone):%H:%M}"
    return ""


def cell_excerpt(record: CellRecord, line: int, context: int = 2) -> list[dict[str, Any]]:
    """The lines of the cell around a line of the script, as `{"line", "text", "guilty"}`."""
    return lines_around(record.source, line + record.offset, context)


def lines_around(text: str, line: int, context: int = 2) -> list[dict[str, Any]]:
    """The lines of `text` around `line`, which counts from 1; empty when there is no such line."""
    lines = text.split("\n")
    if not 1 <= line <= len(lines):
        return []
    shown = range(max(1, line - context), min(len(lines), line + context) + 1)
    return [{"line": n, "text": lines[n - 1].rstrip("\r"), "guilty": n == line} for n in shown]


def _file_name(record: CellRecord) -> str:
    return f"{_file_key(record.file)}-{record.script_digest}.json"


def _file_key(file: str) -> str:
    return hashlib.sha256(file.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _records_of(folder: Path, file: str) -> list[CellRecord]:
    return [r for path in folder.glob(f"{_file_key(file)}-*.json") if (r := _read(path)) is not None]


def _read(path: Path) -> CellRecord | None:
    try:
        record = CellRecord.from_stored(read_json(path))
    except (OSError, ValueError):  # removed meanwhile, or damaged
        return None
    return record if path.name == _file_name(record) and record.version > 0 else None
