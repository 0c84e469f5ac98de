"""Tells whether this process may be forked, from what runs in it and not from a list of modules.

A forked child has a copy of its parent's memory, but only one thread. What other threads hold, such as locks or a
running OpenMP pool, is broken in the child, and it cannot use a GPU's context. There are two exceptions. OpenBLAS stops
its pool before a fork, and starts it again when it is called. jemalloc, which pyarrow brings along, holds its locks
across a fork, and its child frees memory without the background thread.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

from ..system import procfs

_THREAD_COUNTS = ("openblas_get_num_threads", "scipy_openblas_get_num_threads")

_SUFFIXES = ("", "64_", "_64", "64")

_JEMALLOC_THREAD = "jemalloc_bg_thd"  # the name that jemalloc gives its thread

_GPU_DEVICES = ("/dev/nvidia", "/dev/kfd", "/dev/dxg")


def why_unsafe(proc: Path = procfs.PROC) -> str:
    """Why this process must not be forked; empty when it may be."""
    threads = procfs.list_thread_names(proc=proc)
    if sys.platform != "linux" or not threads:
        return "forking is used on Linux only"
    names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if names:
        return f"Python threads run ({', '.join(names[:3])})"
    others = len(threads) - 1 - threads.count(_JEMALLOC_THREAD)
    unexplained = others - count_blas_threads(proc) if others else 0
    if unexplained > 0:
        return f"{unexplained} native threads run"
    return _gpu_in_use(proc)


def count_blas_threads(proc: Path = procfs.PROC) -> int:
    """How many threads of their own the loaded OpenBLAS libraries have. These survive a fork."""
    import ctypes

    total = 0
    for path in sorted(procfs.list_mapped_files(proc=proc)):
        if "blas" not in os.path.basename(path):
            continue
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for name in (base + suffix for base in _THREAD_COUNTS for suffix in _SUFFIXES):
            function: Any = getattr(library, name, None)
            if function is not None:
                total += max(0, int(function()) - 1)  # one of them is the caller
                break
    return total


def _gpu_in_use(proc: Path) -> str:
    for path in procfs.list_open_files(proc=proc):
        if path.startswith(_GPU_DEVICES):
            return f"a GPU is in use ({path})"
    torch: Any = sys.modules.get("torch")
    try:
        if torch is not None and torch.cuda.is_initialized():
            return "CUDA is initialised"
    except Exception as error:
        return f"torch does not say whether CUDA is initialised: {error}"
    return ""
