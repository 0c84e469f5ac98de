"""The benchmark runs itself again inside namespaces of its own.

In a network namespace no peer that insists on all interfaces can be reached from outside, and ports are free. In a
process namespace nothing outlives the benchmark, however it ends. Needs root, or user namespaces.
"""

from __future__ import annotations

import os
import subprocess
import sys

MARK = "MLDEPLOY_BENCH_INSIDE"
# The shell is the namespace's first process: it reaps what detaches itself.
INIT = 'ip link set lo up && "$@"; exit $?'


def is_inside() -> bool:
    return os.environ.get(MARK) == "1"


def command(words: list[str], root: bool) -> list[str]:
    """The command that runs `words` inside."""
    user = [] if root else ["--map-root-user"]
    return [
        "unshare",
        *user,
        "--net",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
        "bash",
        "-c",
        INIT,
        "bash",
        *words,
    ]


def again(module: str, arguments: list[str]) -> int:
    """Runs `python -m module arguments` inside and gives its exit code."""
    words = command([sys.executable, "-m", module, *arguments], os.geteuid() == 0)
    child = subprocess.Popen(words, env={**os.environ, MARK: "1"})
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:  # the child gets it too, and cleans up
            continue
