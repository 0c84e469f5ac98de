"""Gives a forked process the state that it would have had as a new one: parent, name, environment, randomness."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from . import procfs

# Numbers of options of prctl(2).
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def die_with_parent(parent: int) -> None:
    """Makes Linux kill this process when the thread that forked it dies. Ends it now if `parent` is dead already."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call above
        os._exit(0)


def become_subreaper() -> bool:
    """Makes this process the parent of descendants whose own parent dies. False where the system cannot do that."""
    return sys.platform == "linux" and _prctl(_PR_SET_CHILD_SUBREAPER, 1) == 0


def await_parent(parent: int, intermediate: int) -> None:
    """Returns when `parent` has adopted this process, because the process `intermediate` ended.

    Ends this process when another one adopts it.
    """
    while os.getppid() == intermediate:
        time.sleep(0.0002)
    die_with_parent(parent)


def rename(old: bytes, new: bytes) -> bool:
    """Overwrites a text of the command line or the environment as other processes see them, in `/proc`.

    Both texts must have the same length. `os.environ` is a copy: changing it reaches only programs started from here.
    """
    import ctypes

    assert len(old) == len(new)
    stat = procfs.read_stat("self")
    for first, last in (stat.argument_range, stat.environment_range) if stat is not None else ():
        if first == 0:
            continue
        position = ctypes.string_at(first, last - first).find(old)
        if position >= 0:
            ctypes.memmove(first + position, new, len(new))
            return True
    return False


def set_environment(wanted: dict[str, str]) -> None:
    """Makes `os.environ` equal to `wanted`."""
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def become_main(package: str, arguments: list[str]) -> None:
    """Makes `__main__` describe itself as in a process started with `python -m package`.

    Its spec then ends in `.__main__`, so that children which multiprocessing spawns do not import the worker again.
    """
    main, worker = sys.modules["__main__"], sys.modules[f"{package}.__main__"]
    main.__spec__, main.__file__ = worker.__spec__, worker.__file__
    sys.argv = [worker.__file__ or package, *arguments]
    sys.orig_argv = [sys.executable, "-P", "-m", package, *arguments]


def reseed_random() -> None:
    """Gives this process random numbers of its own. (The module `random` does so by itself after a fork.)"""
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
    process: Any = sys.modules.get("multiprocessing.process")
    if process is not None:
        process.current_process().authkey = os.urandom(32)


def _prctl(option: int, value: int) -> int:
    import ctypes

    return int(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0))
