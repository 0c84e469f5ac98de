"""Whether this process may be forked: looked up, not guessed.

A forked child has the memory of its parent and one thread. So what other threads hold (locks, a running OpenMP
pool) is broken in it, and a GPU's context cannot be used. OpenBLAS is the exception: it stops its pool before a
fork and starts it again when it is called.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

_ASK = ("openblas_get_num_threads", "scipy_openblas_get_num_threads")

_SUFFIXES = ("", "64_", "_64", "64")

_GPU = ("/dev/nvidia", "/dev/kfd", "/dev/dxg")


def unsafe(proc: Path = Path("/proc/self")) -> str:
    """Why this process must not be forked; empty when it may."""
    if sys.platform != "linux" or not (proc / "task").is_dir():
        return "forking is used on Linux only"
    names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if names:
        return f"Python threads run ({', '.join(names[:3])})"
    running = _count(proc)
    explained = blas_threads(proc) if running else 0
    if running > explained:
        return f"{running - explained} native threads run"
    return _gpu(proc)


def blas_threads(proc: Path = Path("/proc/self")) -> int:
    """How many threads the loaded OpenBLAS libraries have beside their callers': these survive a fork."""
    import ctypes

    total = 0
    for path in sorted(_libraries(proc)):
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for name in (base + suffix for base in _ASK for suffix in _SUFFIXES):
            function: Any = getattr(library, name, None)
            if function is not None:
                total += max(0, int(function()) - 1)
                break
    return total


def _libraries(proc: Path) -> set[str]:
    found = set()
    for line in (proc / "maps").read_text().splitlines():
        path = line[line.find("/") :] if "/" in line else ""
        if "blas" in os.path.basename(path):
            found.add(path)
    return found


def _count(proc: Path) -> int:
    return len(os.listdir(proc / "task")) - 1


def _gpu(proc: Path) -> str:
    for name in os.listdir(proc / "fd"):
        try:
            target = os.readlink(proc / "fd" / name)
        except OSError:
            continue
        if target.startswith(_GPU):
            return f"a GPU is in use ({target})"
    torch: Any = sys.modules.get("torch")
    try:
        if torch is not None and torch.cuda.is_initialized():
            return "CUDA is initialised"
    except Exception as error:
        return f"torch does not say whether CUDA is initialised: {error}"
    return ""
