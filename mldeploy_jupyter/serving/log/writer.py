"""What a worker writes: every printed line, every request and every failure as one entry of the log.

`install` puts streams in the place of `sys.stdout` and `sys.stderr`. An entry carries the id of the request whose
call of `run()` wrote it: `request_id` is set around each call, and is seen in tasks and threads that Python gives a
copy of the context (`asyncio.to_thread`, tasks). A whole line, or a group of them, is one `os.write`, so that lines of
several threads are not mixed and a killed process loses nothing that it printed.

The supervisor reads the other end (`logs.py`). It knows our lines by a mark before each, which only the two of them
know: what a library in C, or a child process, writes to the descriptors cannot pass for an entry.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextvars import ContextVar
from json.encoder import encode_basestring_ascii
from threading import get_ident
from typing import Any

from .entry import MAX_TEXT, cut, quote, text_of, utc_now, value
from .streams import Stream

LEADER = "\x1e"  # begins a mark; JSON in ASCII never has it

# The id of the request that runs; in a micro-batch a tuple of ids; "" between requests.
request_id: ContextVar[str | tuple[str, ...]] = ContextVar("mldeploy_request_id", default="")

_fd = -1  # a descriptor of our own: the script may close or redirect 1 and 2

_leader = ""  # mark of each line

_about = ""  # `"revision":"3","pid":42,`

_lock = threading.RLock()  # a finaliser or a signal handler may print while its own thread prints

_access: list[str] = []

_place = ("", "", "")  # the last path and method, and both as JSON: nearly all are the same

_ids: tuple[str | tuple[str, ...], str] = ("", "")  # the last ids, as JSON

_ACCESS = (
    '%s{"time":"%s","level":"%s",%s"logger":"access","request_id":%s,%s%d,'
    '"ms":%.3f,"queue_ms":%.3f,"run_ms":%.3f,"bytes_in":%d,"bytes_out":%d,"batch":%d}\n'
)


def install(revision: str, mark: str = "") -> None:
    """Makes entries of all that is printed from now on. `mark` is what the supervisor knows our lines by."""
    global _fd, _leader
    _fd = os.dup(2)
    _leader = LEADER + mark if mark else ""
    _describe(revision)
    streams = (
        Stream(1, "<stdout>", lambda lines: _printed("print", lines), _context),
        Stream(2, "<stderr>", lambda lines: _printed("stderr", lines), _context),
    )
    sys.stdout, sys.stderr = streams
    os.register_at_fork(after_in_child=lambda: _describe(revision, *streams))
    logging.lastResort = _LastResort(logging.WARNING)


def log(message: str, *, level: str = "info", request_id: str = "", logger: str = "server", **fields: Any) -> None:
    """An entry of the server's own. `traceback=` is shown below the message. Raises nothing.

    Before `install` it is printed to standard error as a person reads it: so it is in a check.
    """
    try:
        if _fd < 0:
            entry = {"logger": logger, "level": level, "message": message, "request_id": request_id, **fields}
            print(text_of(entry), file=sys.stderr, flush=True)
            return
        more = "".join(f",{quote(name)}:{value(item)}" for name, item in fields.items())
        write(_line(level, logger, request_id, message, more))
    except Exception:
        pass  # what cannot be logged must not fail what it is about


def access(
    request_id: str,
    method: str,
    path: str,
    status: int,
    seconds: float,
    queue: float,
    run: float,
    bytes_in: int,
    bytes_out: int,
    batch: int,
) -> None:
    """Notes one answered request; `flush_access` writes it. Times in seconds. For the loop's thread only."""
    global _place
    if _place[0] != path or _place[1] != method:
        name, verb = quote(path), quote(method)
        _place = (path, method, f'"method":{verb},"path":{name},"message":"{verb[1:-1]} {name[1:-1]}","status":')
    identity = encode_basestring_ascii(request_id) if request_id.isascii() else quote(request_id)
    _access.append(
        _ACCESS
        % (
            _leader, utc_now(), "info" if status < 500 else "error", _about, identity,
            _place[2], status, seconds * 1e3, queue * 1e3, run * 1e3, bytes_in, bytes_out, batch,
        )
    )  # fmt: skip


def access_together(
    method: str, path: str, requests: list[tuple[str, float, float, int, int]], run: float, batch: int
) -> None:
    """As `access`, for requests that one call answered with 200: id, milliseconds, those of waiting, bytes in and out.

    `run` is in milliseconds.
    """
    verb, name = quote(method), quote(path)
    start = f'{_leader}{{"time":"{utc_now()}","level":"info",{_about}"logger":"access","request_id":'
    middle = f'"method":{verb},"path":{name},"message":"{verb[1:-1]} {name[1:-1]}","status":200,"ms":'
    end = f'"batch":{batch}}}\n'
    _access.extend(
        [
            f'{start}{quote(request_id)},{middle}{ms:.3f},"queue_ms":{queue:.3f},"run_ms":{run:.3f},'
            f'"bytes_in":{bytes_in},"bytes_out":{bytes_out},{end}'
            for request_id, ms, queue, bytes_in, bytes_out in requests
        ]
    )


def flush_access() -> None:
    """Writes the requests noted since the last time, all in one go."""
    global _access
    if _access:
        noted, _access = _access, []
        write("".join(noted))


def flush() -> None:
    """Writes whatever is held: requests, and lines whose end has not come. For the end of the process."""
    flush_access()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush_all() if isinstance(stream, Stream) else stream.flush()
        except Exception:
            pass  # the script's own stream, or None


def write(lines: str) -> None:
    """Writes whole lines. A reader that is gone loses them, never the service."""
    if _fd < 0:
        return
    data = memoryview(lines.encode("ascii"))
    try:
        with _lock:
            while data:
                data = data[os.write(_fd, data) :]
    except OSError:
        pass


def _context() -> tuple[int, str | tuple[str, ...]]:
    return get_ident(), request_id.get()


def _printed(logger: str, lines: list[tuple[str | tuple[str, ...], str]]) -> None:
    write("".join([_line("info", logger, ids, text) for ids, text in lines]))


def _line(level: str, logger: str, ids: str | tuple[str, ...], message: str, more: str = "") -> str:
    message = message if len(message) <= MAX_TEXT else cut(message)
    return (
        f'{_leader}{{"time":"{utc_now()}","level":"{level}",{_about}"logger":{quote(logger)},'
        f'{_request(ids)}"message":{quote(message)}{more}}}\n'
    )


def _request(ids: str | tuple[str, ...]) -> str:
    global _ids
    known, text = _ids
    if known is not ids:
        if isinstance(ids, tuple):
            text = f'"request_ids":{value(ids)},' if ids else ""
        else:
            text = f'"request_id":{quote(ids)},' if ids else ""
        _ids = (ids, text)
    return text


def _describe(revision: str, *streams: Stream) -> None:
    """Who writes; anew in a process that the script forked, where a lock may be held by a thread that is not there.

    What the parent had not written yet stays the parent's.
    """
    global _about, _lock
    _about = f'"revision":{quote(revision)},"pid":{os.getpid()},'
    _lock = threading.RLock()
    _access.clear()
    for stream in streams:
        stream.forget()


class _LastResort(logging.Handler):
    """Warnings of a script that set up no logging: entries under their logger's own name."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = "error" if record.levelno >= logging.ERROR else "warning"
            more = ""
            if record.exc_info and record.exc_info[0] is not None:
                more = f',"traceback":{value(logging.Formatter().formatException(record.exc_info))}'
            write(_line(level, record.name, request_id.get(), record.getMessage(), more))
        except Exception:
            self.handleError(record)
