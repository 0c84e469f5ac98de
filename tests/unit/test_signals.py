"""A run of tests that a signal ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.polling import wait_until

SOURCE = """
import os, pathlib, subprocess, time
import pytest


@pytest.fixture(scope="session")
def server():
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_that_hangs(server):
    pathlib.Path("pid.tmp").write_text(str(server.pid))
    os.rename("pid.tmp", "pid")
    time.sleep(600)
"""

# As a terminal starts it: a background job and `nohup` make their children ignore some of these signals.
START = """
import signal, sys
import pytest

signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGHUP], [signal.SIGHUP] * 2, [signal.SIGINT]])
def test_what_a_test_has_started_ends(tmp_path: Path, signals: list[signal.Signals]) -> None:
    (tmp_path / "test_it.py").write_text(SOURCE)
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", START, "-q", "-p", "tests.signals", "--rootdir", tmp_path, "test_it.py"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until((tmp_path / "pid").exists)
        server = psutil.Process(int((tmp_path / "pid").read_text()))
        for number in signals:
            process.send_signal(number)
        assert process.wait(60) == pytest.ExitCode.INTERRUPTED
        wait_until(lambda: not server.is_running())
    finally:
        process.kill()
        process.wait()
