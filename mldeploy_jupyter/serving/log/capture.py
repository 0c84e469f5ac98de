"""Captures what the script prints: `sys.stdout`, `sys.stderr` and unhandled warnings become log entries.

An entry carries the id of the request whose call of `run()` wrote it (`writer.request_id`).
"""

from __future__ import annotations

import logging
import os
import sys
from threading import get_ident

from . import writer
from .entry import to_json
from .streams import Stream


def install(revision: str, mark: str = "") -> None:
    """Replaces `sys.stdout` and `sys.stderr`. `mark` tells the supervisor entries from other output."""
    writer.start(os.dup(2), revision, mark)
    streams = replace_streams()
    os.register_at_fork(after_in_child=lambda: _start_child(revision, *streams))


def replace_streams() -> tuple[Stream, Stream]:
    streams = (
        Stream(1, "<stdout>", lambda lines: writer.log_lines("print", lines), _context),
        Stream(2, "<stderr>", lambda lines: writer.log_lines("stderr", lines), _context),
    )
    sys.stdout, sys.stderr = streams
    logging.lastResort = _LastResort(logging.WARNING)
    return streams


def flush() -> None:
    """Writes everything that is held back: pending requests and unfinished lines. For the end of the process."""
    writer.flush_access()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush_all() if isinstance(stream, Stream) else stream.flush()
        except Exception:
            pass  # a stream that the script put there, or None


def _context() -> tuple[int, writer.RequestIds]:
    return get_ident(), writer.request_id.get()


def _start_child(revision: str, *streams: Stream) -> None:
    writer.start_process(revision)
    for stream in streams:
        stream.discard()  # unfinished lines are the parent's to write


class _LastResort(logging.Handler):
    """Logs warnings of a script that has not configured logging, under the logger's own name."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = "error" if record.levelno >= logging.ERROR else "warning"
            extra = ""
            if record.exc_info and record.exc_info[0] is not None:
                extra = f',"traceback":{to_json(logging.Formatter().formatException(record.exc_info))}'
            lines = [(writer.request_id.get(), record.getMessage())]
            writer.log_lines(record.name, lines, level=level, extra=extra)
        except Exception:
            self.handleError(record)
