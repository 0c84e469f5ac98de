"""All tests in two processes of pytest at once: most of them wait for other processes, and leave a processor idle.

`python -m tests.halves --durations=15`: the arguments are options of pytest. The first half prints as it goes; what the
second one prints comes when the first has ended. The exit code is the first half's that is not 0. With a single
processor, the halves run one after the other.

With `CI` set, or the option `--again`, up to ten tests that failed run once more when both halves have ended. If all
of them pass, the exit code is 0, and the last lines name them, as `unstable: NAME`.

The halves are fixed, so that every run has the same tests side by side, and each takes about as long as the other.
A test has a home, ports, engines and a JupyterLab of its own process; nothing else that it may change is shared.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).parents[1]
CACHES = (".pytest_cache", ".pytest_cache/second")  # `--lf` has to find the failures of both halves
MOST_AGAIN = 10  # tests, one in a thousand of all; more failures are not chance
WHOLE_RUN = "after the whole run"  # in the errors of checks at its end, which a run of a few tests does not repeat
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
    """What pytest is given for each half."""
    first, second = ([*options, *reporting(Path(cache))] for cache in CACHES)
    return [*first, *(f"--ignore={path}" for path in SECOND)], [*second, *SECOND]


def reporting(cache: Path) -> list[str]:
    """Options with which `failed_tests` finds what failed."""
    return ["-o", f"cache_dir={cache}", f"--junit-xml={cache / 'report.xml'}"]


def failed_tests(cache: Path) -> list[str] | None:
    """The tests that failed. None: something else did, as a collection, or a check of what the whole run has left."""
    messages = [error.get("message", "") for error in ElementTree.parse(cache / "report.xml").iter("error")]
    if any(not text.startswith(("failed on setup", "failed on teardown")) or WHOLE_RUN in text for text in messages):
        return None
    return sorted(json.loads((cache / "v" / "cache" / "lastfailed").read_text()))


def run_again(
    commands: Sequence[Sequence[str]], caches: Sequence[Path], codes: Sequence[int], out: TextIO, most: int = MOST_AGAIN
) -> int:
    """Runs the tests that failed once more, alone. Returns the exit code of the whole run."""
    unstable: list[str] = []
    halves = [half for half in zip(commands, caches, codes, strict=True) if half[2]]
    for _, cache, code in halves:
        names = failed_tests(cache) if code == 1 else None  # 1: tests failed; others: the run did
        if names is None:
            return code
        unstable += names
    if len(unstable) > most:
        return 1
    for command, _, _ in halves:
        out.write("\nThe tests that failed run again, alone.\n")
        out.flush()
        if code := subprocess.call([*command, "--last-failed", "--last-failed-no-failures=none"]):
            return code
    out.write("".join(f"unstable: {name}\n" for name in unstable))
    return 0


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
        """Waits for the program's last line, which may never come if the program left something behind."""
        self._thread.join(seconds)

    def _read(self, source: TextIO) -> None:
        for line in source:
            with self._lock:
                if self._released:
                    self._out.write(line)
                    self._out.flush()
                else:
                    self._lines.append(line)


def run(commands: Sequence[Sequence[str]], out: TextIO, *, at_once: bool = True) -> tuple[int, int]:
    """Runs two commands to their end. A signal that ends this process is passed on, and both end by themselves."""
    running: list[subprocess.Popen[str]] = []
    received: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        received.append(number)
        for process in running:
            process.send_signal(number)

    def follow(process: subprocess.Popen[str]) -> None:
        running.append(process)
        for number in received:  # it may have come before
            process.send_signal(number)

    # The terminal sends Ctrl-C to all of its processes.
    before = {signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None)}
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` has SIGHUP ignored
            before[number] = signal.signal(number, pass_on)
    try:
        first = subprocess.Popen(commands[0], text=True)
        follow(first)
        if not at_once:
            first.wait()
        with subprocess.Popen(commands[1], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as second:
            follow(second)
            assert second.stdout is not None
            held = Held(second.stdout, out)
            code = first.wait()
            held.release()
            codes = code, second.wait()
            held.join(10)
            return codes
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(options: Sequence[str]) -> int:
    again = bool(os.environ.get("CI")) or "--again" in options
    commands = [["pytest", *half] for half in half_arguments([one for one in options if one != "--again"])]
    processors = len(os.sched_getaffinity(0))
    codes = run(commands, sys.stdout, at_once=processors > 1)
    if again and min(codes) >= 0:
        return run_again(commands, [Path(cache) for cache in CACHES], codes, sys.stdout)
    return codes[0] or codes[1]


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
