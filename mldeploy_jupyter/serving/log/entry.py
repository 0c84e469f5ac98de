"""One entry of the service's log: a JSON object on a line. Made here, read here, put into words here.

    {"time", "level", "revision", "pid", "logger", "request_id" | "request_ids", "message", ...}

`time` is UTC with milliseconds, `level` info, warning or error, `revision` and `pid` say which worker (the
supervisor's own entries have no revision). `logger` is `access`, `print`, `stderr`, `server`, `trace`, `raw`
(what did not come through Python's streams), `supervisor`, or the name of one of the script's own loggers.
`request_ids` is there in place of `request_id` where one call of `run()` had several requests. An entry with a
`traceback` has it whole, lines and all. Lines are ASCII, so no text can break one or begin another.
"""

from __future__ import annotations

import json
import math
import time
from json.encoder import encode_basestring_ascii
from typing import Any

MAX_TEXT = 64 * 1024  # characters of one text; what is longer is cut, so that one line cannot fill the memory

_present = (0, "")  # the present millisecond and its text: under load many lines share one


def utc_now() -> str:
    global _present
    now = int(time.time() * 1000)
    known, text = _present
    if now != known:
        seconds, milliseconds = divmod(now, 1000)
        text = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03d}Z"
        _present = (now, text)
    return text


def quote(text: str) -> str:
    """The text as a JSON string in ASCII. Surrogates, which JSON cannot carry, are written out: `\\\\udc80`."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()
    return encode_basestring_ascii(text)


def value(item: Any) -> str:
    """Any value as JSON: what is neither text, number nor a list of these goes as its text."""
    if item is None or isinstance(item, bool):
        return json.dumps(item)
    if isinstance(item, int):
        return int.__repr__(item)
    if isinstance(item, float) and math.isfinite(item):
        return float.__repr__(item)
    if isinstance(item, (list, tuple)):
        return "[" + ",".join(value(part) for part in item) + "]"
    return quote(cut(item if isinstance(item, str) else str(item)))


def cut(text: str) -> str:
    left = len(text) - MAX_TEXT
    return text if left <= 0 else f"{text[:MAX_TEXT]}... ({left} more characters)"


def make(message: str, *, level: str = "info", logger: str, **fields: Any) -> bytes:
    """A line, for whoever writes few of them. `fields` come before the message; a worker writes in `output.py`."""
    more = "".join(f"{quote(name)}:{value(item)}," for name, item in fields.items())
    line = f'{{"time":"{utc_now()}","level":"{level}",{more}"logger":{quote(logger)},"message":{quote(message)}}}\n'
    return line.encode("ascii")


def parse(line: str | bytes) -> dict[str, Any] | None:
    """The entry of a line; None for a line that is none."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and "time" in entry and "logger" in entry else None


def source_of(entry: dict[str, Any]) -> str:
    """Who wrote it: `r3 4711` for a worker, `supervisor`."""
    return f"r{entry['revision']} {entry.get('pid', '')}" if "revision" in entry else str(entry["logger"])


def ids_of(entry: dict[str, Any]) -> list[str]:
    many = entry.get("request_ids")
    return [str(one) for one in many] if isinstance(many, list) else [str(i)] if (i := entry.get("request_id")) else []


def text_of(entry: dict[str, Any]) -> str:
    """The entry for a person. Each of its lines begins with the request's id, where it has one."""
    if entry["logger"] == "access":
        lines = [_access(entry)]
    else:
        lines = _lines(entry.get("message", "")) + (_lines(entry["traceback"]) if entry.get("traceback") else [])
        if entry["logger"] not in _PLAIN:
            lines[0] = f"{entry.get('level', '')}: {entry['logger']}: {lines[0]}"
        elif entry.get("level") == "warning":
            lines[0] = f"warning: {lines[0]}"
    ids = ids_of(entry)
    if not ids:
        return "\n".join(lines)
    mark = _shown(ids[0]) + (f" +{len(ids) - 1}" if len(ids) > 1 else "")
    return "\n".join(f"[{mark}] {line}" for line in lines)


_PLAIN = ("print", "stderr", "server", "raw", "supervisor")


def _lines(text: Any) -> list[str]:
    return str(text).split("\n")


def _access(entry: dict[str, Any]) -> str:
    words = [str(entry.get("method", "")), _shown(str(entry.get("path", ""))), str(entry.get("status", ""))]
    milliseconds = entry.get("ms")
    words += [f"{milliseconds:.1f} ms"] if isinstance(milliseconds, (int, float)) else []
    return " ".join([*words, f"{entry.get('bytes_out', 0)} bytes"])


def _shown(text: str) -> str:
    """What a client gave, in one line: it must not write lines of its own."""
    return text if text.isprintable() else repr(text)
