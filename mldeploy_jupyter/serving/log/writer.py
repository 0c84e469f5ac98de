"""Writes a worker's log entries: the server's messages, captured prints, and one entry for each answered request.

The supervisor reads the other end of the pipe (`worker_output`). It recognises entries by a mark before each, a secret
between it and the worker: output of a C library or a child process cannot pass for an entry. Whole lines go out with
one `os.write`, so that lines of several threads do not mix, and a killed process loses nothing that it printed.
"""

from __future__ import annotations

import os
import sys
import threading
from contextvars import ContextVar
from typing import Any

from .entry import LEADER, MAX_TEXT, quote, text_of, to_json, truncate, utc_now

RequestIds = str | tuple[str, ...]

# The id of the request that runs; a tuple of ids in a micro-batch; "" between requests. Set around each call of
# `run()`, and inherited by tasks and threads to which Python copies the context (`asyncio.to_thread`).
request_id: ContextVar[RequestIds] = ContextVar("mldeploy_request_id", default="")

MAX_PATH = 1000  # characters of a request's path; any client, even one without a key, may send 64 KiB

_fd = -1  # the writer's own descriptor: the script may close or redirect 1 and 2

_prefix = ""  # LEADER and the mark

_worker = ""  # `"revision":"3","pid":42,`

_prefix_bytes = _worker_bytes = b""  # both, for entries of the access log

_lock = threading.RLock()  # re-entrant: a finaliser or signal handler may print while its own thread prints

_access: list[bytes] = []  # entries of answered requests that are not written yet

_last_route = ("", "", b"")  # the last path and method, and both as JSON: nearly all requests have the same

_last_ids: tuple[RequestIds, str] = ("", "")  # the last ids, and as JSON

# As bytes: text takes twice as long to format.
_ACCESS = (
    b'%b{"time":"%b","level":"%b",%b"logger":"access","request_id":%b,%b%d,'
    b'"ms":%.3f,"queue_ms":%.3f,"run_ms":%.3f,"bytes_in":%d,"bytes_out":%d,"batch":%d}\n'
)
_BATCH_ACCESS = b'%b%b%b"ms":%.3f,"queue_ms":%.3f%b%d,"bytes_out":%d%b'


def start(fd: int, revision: str, mark: str) -> None:
    """Writes entries to `fd` from now on; -1: none. `mark` is the supervisor's; empty: entries are not marked."""
    global _fd, _prefix, _prefix_bytes
    _fd, _prefix = fd, LEADER + mark if mark else ""
    _prefix_bytes = _prefix.encode()
    start_process(revision)


def start_process(revision: str) -> None:
    """Entries are of this process from now on. A process that the script forks needs it again.

    The lock may be held by a thread that the fork did not copy, and pending entries are the parent's to write.
    """
    global _worker, _worker_bytes, _lock
    _worker = f'"revision":{quote(revision)},"pid":{os.getpid()},'
    _worker_bytes = _worker.encode()
    _lock = threading.RLock()
    _access.clear()


def log(message: str, *, level: str = "info", request_id: str = "", logger: str = "server", **fields: Any) -> None:
    """Writes an entry of the server's own. `traceback=` is shown below the message. Raises nothing.

    Before `start` it is printed to standard error as a person reads it, which is what a check shows.
    """
    try:
        if _fd < 0:
            entry = {"logger": logger, "level": level, "message": message, "request_id": request_id, **fields}
            print(text_of(entry), file=sys.stderr, flush=True)
            return
        extra = "".join(f",{quote(name)}:{to_json(value)}" for name, value in fields.items())
        _write(_line(level, logger, request_id, message, extra).encode())
    except Exception:
        pass  # a failure to log must not fail the request


def log_lines(logger: str, lines: list[tuple[RequestIds, str]], *, level: str = "info", extra: str = "") -> None:
    """Writes an entry for each line, with its request ids, in one go. `extra` is JSON: `,"name":value`."""
    _write("".join([_line(level, logger, ids, text, extra) for ids, text in lines]).encode())


def add_access(
    quoted_id: bytes,
    method: str,
    path: str,
    status: int,
    ms: float,
    queue_ms: float,
    run_ms: float,
    bytes_in: int,
    bytes_out: int,
    batch: int,
) -> None:
    """Adds one answered request to the access log; `flush_access` writes it. Call it on the loop's thread only.

    `quoted_id` is the request's id as JSON (`entry.quote`).
    """
    level = b"info" if status < 500 else b"error"
    _access.append(
        _ACCESS
        % (
            _prefix_bytes, utc_now().encode(), level, _worker_bytes, quoted_id, _route(path, method), status,
            ms, queue_ms, run_ms, bytes_in, bytes_out, batch,
        )
    )  # fmt: skip


def add_access_batch(
    method: str, path: str, requests: list[tuple[bytes, float, float, int, int]], run_ms: float, batch: int
) -> None:
    """As `add_access`, for requests that one call of `run()` answered with 200.

    Each of `requests` is (quoted id, ms, queue_ms, bytes_in, bytes_out).
    """
    head = b'%b{"time":"%b","level":"info",%b"logger":"access","request_id":' % (
        _prefix_bytes,
        utc_now().encode(),
        _worker_bytes,
    )
    middle, run, tail = (
        b",%b200," % _route(path, method),
        b',"run_ms":%.3f,"bytes_in":' % run_ms,
        b',"batch":%d}\n' % batch,
    )
    _access.extend(
        [
            _BATCH_ACCESS % (head, quoted_id, middle, ms, queue_ms, run, bytes_in, bytes_out, tail)
            for quoted_id, ms, queue_ms, bytes_in, bytes_out in requests
        ]
    )


def _route(path: str, method: str) -> bytes:
    """Method and path as JSON, up to the status."""
    global _last_route
    if _last_route[0] != path or _last_route[1] != method:
        name, verb = quote(path if len(path) <= MAX_PATH else f"{path[:MAX_PATH]}..."), quote(method)
        text = f'"method":{verb},"path":{name},"message":"{verb[1:-1]} {name[1:-1]}","status":'
        _last_route = (path, method, text.encode())
    return _last_route[2]


def flush_access() -> None:
    """Writes all pending entries of the access log at once."""
    global _access
    if _access:
        pending, _access = _access, []
        _write(b"".join(pending))


def _write(lines: bytes) -> None:
    """Writes whole lines. If the reader is gone they are lost, but the service continues."""
    if _fd < 0:
        return
    data = memoryview(lines)
    try:
        with _lock:
            while data:
                data = data[os.write(_fd, data) :]
    except OSError:
        pass


def _line(level: str, logger: str, ids: RequestIds, message: str, extra: str = "") -> str:
    message = message if len(message) <= MAX_TEXT else truncate(message)
    return (
        f'{_prefix}{{"time":"{utc_now()}","level":"{level}",{_worker}"logger":{quote(logger)},'
        f'{_ids_field(ids)}"message":{quote(message)}{extra}}}\n'
    )


def _ids_field(ids: RequestIds) -> str:
    global _last_ids
    known, text = _last_ids
    if known is not ids:
        if isinstance(ids, tuple):
            text = f'"request_ids":{to_json(ids)},' if ids else ""
        else:
            text = f'"request_id":{quote(ids)},' if ids else ""
        _last_ids = (ids, text)
    return text
