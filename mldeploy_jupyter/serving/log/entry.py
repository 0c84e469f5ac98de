"""One entry of the service's log, a JSON object on a line: formatted, parsed, and shown to a person.

    {"time", "level", "revision", "pid", "logger", "request_id" | "request_ids", "message", ...}

`time` is UTC with milliseconds. `level` is info, warning or error. `revision` and `pid` name the worker; the
supervisor's own entries have no revision. `logger` is `access`, `print`, `stderr`, `server`, `trace`, `raw` (output
that bypassed Python's streams), `supervisor`, or the name of one of the script's own loggers. `request_ids` replaces
`request_id` when one call of `run()` served several requests. A `traceback` is stored whole, newlines included. Lines
are ASCII, so no text can break a line or start another.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

# Starts the mark that a worker puts before each of its entries. JSON in ASCII never contains it.
LEADER = "\x1e"

MAX_TEXT = 64 * 1024  # characters of one text; longer ones are truncated, so that one line cannot fill the memory

# The latest millisecond with its text, and the latest second with its own: under load many lines share one.
_last_time = (0, "")
_last_second = (-1, "")


def utc_now() -> str:
    global _last_time, _last_second
    now = int(time.time() * 1000)
    known, text = _last_time
    if now != known:
        seconds, milliseconds = divmod(now, 1000)
        known, start = _last_second
        if seconds != known:
            start = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
            _last_second = (seconds, start)
        text = f"{start}.{milliseconds:03d}Z"
        _last_time = (now, text)
    return text


def quote(text: str) -> str:
    """The text as a JSON string in ASCII. Lone surrogates, which JSON cannot carry, are escaped: `\\\\udc80`."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()
    return encode_basestring_ascii(text)


def to_json(value: Any) -> str:
    """The value as JSON. Anything but text, a finite number, a boolean, None or a list of these becomes its `str()`."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float) and math.isfinite(value):
        return float.__repr__(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(to_json(item) for item in value) + "]"
    return quote(truncate(value if isinstance(value, str) else str(value)))


def truncate(text: str) -> str:
    excess = len(text) - MAX_TEXT
    return text if excess <= 0 else f"{text[:MAX_TEXT]}... ({excess} more characters)"


def format_line(message: str, *, level: str = "info", logger: str, **fields: Any) -> bytes:
    """One entry as a line. `fields` come before the message. Workers use the faster `writer` instead."""
    extra = "".join(f"{quote(name)}:{to_json(value)}," for name, value in fields.items())
    line = f'{{"time":"{utc_now()}","level":"{level}",{extra}"logger":{quote(logger)},"message":{quote(message)}}}\n'
    return line.encode("ascii")


def parse_line(line: str | bytes) -> dict[str, Any] | None:
    """The entry of a line, or None if the line is not an entry."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and "time" in entry and "logger" in entry else None


def source_of(entry: dict[str, Any]) -> str:
    """The process that wrote it: `r3 4711` for a worker, otherwise the logger's name."""
    return f"r{entry['revision']} {entry.get('pid', '')}" if "revision" in entry else str(entry["logger"])


def ids_of(entry: dict[str, Any]) -> list[str]:
    """The ids of its requests."""
    ids = entry.get("request_ids")
    if isinstance(ids, list):
        return [str(request_id) for request_id in ids]
    request_id = entry.get("request_id")
    return [str(request_id)] if request_id else []


def text_of(entry: dict[str, Any]) -> str:
    """The entry as a person reads it. Each line starts with the request's id, if the entry has one."""
    if entry["logger"] == "access":
        lines = [_access_text(entry)]
    else:
        lines = _lines(entry.get("message", "")) + (_lines(entry["traceback"]) if entry.get("traceback") else [])
        if entry["logger"] not in _OWN_LOGGERS:
            lines[0] = f"{entry.get('level', '')}: {entry['logger']}: {lines[0]}"
        elif entry.get("level") == "warning":
            lines[0] = f"warning: {lines[0]}"
    ids = ids_of(entry)
    if not ids:
        return "\n".join(lines)
    prefix = describe_ids(ids)
    # A carriage return in front says that the line replaces the one before (`streams`), so it stays in front.
    return "\n".join(f"\r[{prefix}] {line[1:]}" if line.startswith("\r") else f"[{prefix}] {line}" for line in lines)


def describe_ids(ids: Sequence[str]) -> str:
    """The ids as `text_of` writes them: the first, and how many more there are."""
    return printable(ids[0]) + (f" +{len(ids) - 1}" if len(ids) > 1 else "")


_OWN_LOGGERS = ("print", "stderr", "server", "raw", "supervisor")


def _lines(text: Any) -> list[str]:
    return str(text).split("\n")


def _access_text(entry: dict[str, Any]) -> str:
    words = [str(entry.get("method", "")), printable(str(entry.get("path", ""))), str(entry.get("status", ""))]
    milliseconds = entry.get("ms")
    words += [f"{milliseconds:.1f} ms"] if isinstance(milliseconds, (int, float)) else []
    return " ".join([*words, f"{entry.get('bytes_out', 0)} bytes"])


def printable(text: str) -> str:
    """Text that a client sent, as one word: a client must not forge a line of the log, nor what follows on it."""
    return text if text.isprintable() and " " not in text else repr(text)
