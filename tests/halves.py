"""All tests in two processes of pytest at once: most of them wait for other processes, and leave a processor idle.

`python -m tests.halves --durations=15`: the arguments are options of pytest. The first half prints as it goes; what the
second one prints comes when the first has ended. The exit code is the first half's that is not 0. With a single
processor, the halves run one after the other.

The halves are fixed, so that every run has the same tests side by side, and each takes about as long as the other.
A test has a home, ports, engines and a JupyterLab of its own process; nothing else that it may change is shared.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).parents[1]
# The second half; the first one is all others. It has every test with a container engine, since some prune theirs.
SECOND = (
    "tests/integration/cli",
    "tests/integration/deployment",
    "tests/integration/docs",
    "tests/integration/environments",
    "tests/integration/images",
    "tests/integration/lab",
    "tests/integration/latency/test_containers.py",
    "tests/integration/migration",
    "tests/integration/packaging",
    "tests/integration/panel",
    "tests/integration/store",
    "tests/integration/targets",
    "tests/notebooks",
    "tests/browser/test_containers.py",
)


def half_arguments(options: Sequence[str]) -> tuple[list[str], list[str]]:
    """What pytest is given for each half. `--lf` has to find the failures of both, so each has its own cache."""
    first = [*options, *(f"--ignore={path}" for path in SECOND)]
    second = [*options, "-o", "cache_dir=.pytest_cache/second", *SECOND]
    return first, second


class Held:
    """Passes a program's lines on, but none before `release()`."""

    def __init__(self, source: TextIO, out: TextIO) -> None:
        self._out = out
        self._lines: list[str] = []
        self._released = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, args=(source,), daemon=True)
        self._thread.start()

    def release(self) -> None:
        with self._lock:
            self._out.write("".join(self._lines))
            self._out.flush()
            self._lines.clear()
            self._released = True

    def join(self, seconds: float) -> None:
        """Waits for the program's last line, which whatever the program has left behind may delay for ever."""
        self._thread.join(seconds)

    def _read(self, source: TextIO) -> None:
        for line in source:
            with self._lock:
                if self._released:
                    self._out.write(line)
                    self._out.flush()
                else:
                    self._lines.append(line)


def run(commands: tuple[Sequence[str], Sequence[str]], out: TextIO, *, at_once: bool = True) -> int:
    """Runs both commands to their end. A signal that ends this process is passed on, and both end by themselves."""
    running: list[subprocess.Popen[str]] = []
    received: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        received.append(number)
        for process in running:
            process.send_signal(number)

    # The terminal sends Ctrl-C to all of its processes.
    before = {signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None)}
    before[signal.SIGTERM] = signal.signal(signal.SIGTERM, pass_on)
    try:
        first = subprocess.Popen(commands[0], text=True)
        running.append(first)
        if not at_once:
            first.wait()
        with subprocess.Popen(commands[1], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as second:
            running.append(second)
            for number in received:  # the handler may have come before it
                second.send_signal(number)
            assert second.stdout is not None
            held = Held(second.stdout, out)
            code = first.wait()
            held.release()
            code = code or second.wait()
            held.join(10)
            return code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(options: Sequence[str]) -> int:
    first, second = (["pytest", *arguments] for arguments in half_arguments(options))
    processors = len(os.sched_getaffinity(0))
    return run((first, second), sys.stdout, at_once=processors > 1)


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
