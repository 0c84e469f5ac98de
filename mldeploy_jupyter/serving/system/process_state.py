"""Makes a forked process like one that was started: what a new interpreter would have of its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def die_with(parent: int) -> None:
    """Linux ends this process when the thread that is its parent dies, however that dies."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked
        os._exit(0)


def adopt_orphans() -> bool:
    """Makes this process the parent of its descendants whose own parent has died. False where that is impossible."""
    return sys.platform == "linux" and _prctl(_PR_SET_CHILD_SUBREAPER, 1) == 0


def await_parent(parent: int, between: int) -> None:
    """Returns once `parent` is ours, because `between` has ended; ends this process when another one is."""
    while os.getppid() == between:
        time.sleep(0.0002)
    die_with(parent)


def rename(old: bytes, new: bytes) -> bool:
    """Overwrites a text of the command line or the first environment, which other processes read in `/proc`.

    `os.environ` is a copy: what is written there reaches only programs that are started from here.
    """
    import ctypes

    assert len(old) == len(new)
    with open("/proc/self/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    for first, last in ((int(fields[45]), int(fields[46])), (int(fields[47]), int(fields[48]))):
        if first == 0:
            continue
        place = ctypes.string_at(first, last - first).find(old)
        if place >= 0:
            ctypes.memmove(first + place, new, len(new))
            return True
    return False


def set_environment(wanted: dict[str, str]) -> None:
    """Makes `os.environ` just this; the rest is removed."""
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def become_main(package: str, arguments: list[str]) -> None:
    """Makes `__main__` describe itself as it would in a process started with `python -m package`.

    The spec then ends in `.__main__`, so multiprocessing's spawned children do not import the worker again.
    """
    main, worker = sys.modules["__main__"], sys.modules[f"{package}.__main__"]
    main.__spec__, main.__file__ = worker.__spec__, worker.__file__
    sys.argv = [worker.__file__ or package, *arguments]
    sys.orig_argv = [sys.executable, "-P", "-m", package, *arguments]


def new_randomness() -> None:
    """Random numbers are not those of our siblings. (`random` sees to itself.)"""
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
    process: Any = sys.modules.get("multiprocessing.process")
    if process is not None:
        process.current_process().authkey = os.urandom(32)


def _prctl(option: int, value: int) -> int:
    import ctypes

    return int(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0))


MARK = "MLDEPLOY_WORKER"  # the variable by which a worker's descendants are known, wherever they went
