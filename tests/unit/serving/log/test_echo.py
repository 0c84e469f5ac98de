"""The log on standard output: whole, in order, and never a reason to wait."""

from __future__ import annotations

import json
import os
from pathlib import Path

from mldeploy_jupyter.serving.log.echo import Echo
from mldeploy_jupyter.serving.log.service_log import ServiceLog
from tests.polling import wait_until


def test_the_log_s_lines_are_echoed(tmp_path: Path) -> None:
    read, write = os.pipe()
    echo = Echo(write)
    log = ServiceLog(tmp_path / "logs" / "service.log", echo=echo)
    log.append(b'{"a":1}\n{"a":2}\n')
    log.write("text", level="warning")
    echo.flush(10)
    assert os.read(read, 65536) == log.path.read_bytes()
    os.close(read)
    os.close(write)


def test_lines_are_dropped_and_counted_when_nobody_reads() -> None:
    read, write = os.pipe()
    echo = Echo(write, max_waiting=100_000)
    line = b"x" * 9_999 + b"\n"
    for _ in range(100):
        echo.append(line)  # returns at once, though the pipe is full
    echo.flush(0)
    text = bytearray()
    while len(text) < 100_000:
        text += os.read(read, 65536)
    wait_until(lambda: echo._waiting < 100_000 - len(line))
    echo.append(b"last\n")
    while not text.endswith(b"last\n"):
        text += os.read(read, 65536)
    *kept, message, last = bytes(text).splitlines()
    assert set(kept) == {line[:-1]} and last == b"last"
    dropped = 100 - len(kept)
    assert json.loads(message)["message"] == f"{dropped} lines are missing from standard output, which nobody read"
    os.close(read)
    os.close(write)
