"""Standard output that cannot be written, and streams that the caller has closed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mldeploy_jupyter.cli import ResultStream
from mldeploy_jupyter.core.errors import MldeployError


def test_a_full_disk_is_an_error_in_three_lines() -> None:
    with open("/dev/full", "w") as full, pytest.raises(MldeployError) as caught:
        stream = ResultStream(full)
        stream.write("x\n")
        stream.flush()
    assert caught.value.why == "standard output: no space left on device" and "carried out" in caught.value.hint


def test_a_pipe_without_a_reader_is_told_apart() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe, pytest.raises(BrokenPipeError):
        stream = ResultStream(pipe)
        stream.write("x\n")
        stream.flush()


def test_closed_streams_get_the_null_device() -> None:
    code = (
        "import os, sys\n"
        "from mldeploy_jupyter.cli import open_closed_streams\n"
        "open_closed_streams()\n"
        "print('x', file=sys.stderr)\n"
        "assert [stream.fileno() for stream in (sys.stdin, sys.stdout, sys.stderr)] == [0, 1, 2]\n"
        "os._exit(7)\n"
    )
    line = [sys.executable, "-c", code]
    assert subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *line], check=False).returncode == 7
