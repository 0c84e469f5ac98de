"""A worker's output in this process: written through `capture` and `writer`, read as the supervisor reads it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from mldeploy_jupyter.serving.log import capture, entry, writer
from mldeploy_jupyter.serving.log.worker_output import OutputReader

MARK = "0123456789abcdef"

# Values for an entry of the access log.
ACCESS: dict[str, Any] = {"ms": 3.1234, "queue_ms": 0.1, "run_ms": 0.5, "bytes_in": 5, "bytes_out": 42}


def wrap(text: str) -> bytes:
    return entry.format_line(text, logger="raw", revision="3", pid=7)


class OutputPipe:
    """Reads what arrives, on a thread of its own, until `read_entries` ends it."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.read, self.fd = os.pipe()
        self._reader = threading.Thread(target=OutputReader(self.read, MARK, wrap, self.chunks.append).run)
        self._reader.start()

    def read_entries(self) -> list[dict[str, Any]]:
        """Everything that was written, each line strict JSON. Closes the pipe."""
        capture.flush()
        os.close(self.fd)
        self._reader.join()
        return [strict(line) for line in b"".join(self.chunks)[:-1].split(b"\n")] if self.chunks else []


def strict(line: bytes) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    entry: dict[str, Any] = json.loads(line.decode("ascii"), parse_constant=refuse)
    json.dumps(entry, ensure_ascii=False).encode("utf-8")  # no lone surrogates
    assert {"time", "level", "logger", "message", "pid", "revision"} <= set(entry)
    return entry


@contextlib.contextmanager
def captured_output() -> Iterator[OutputPipe]:
    pipe, kept = OutputPipe(), (sys.stdout, sys.stderr, logging.lastResort)
    writer.start(pipe.fd, "3", MARK)
    capture.replace_streams()
    try:
        yield pipe
    finally:
        sys.stdout, sys.stderr, logging.lastResort = kept
        writer.start(-1, "", "")


def messages(pipe: OutputPipe) -> list[str]:
    return [entry["message"] for entry in pipe.read_entries()]
