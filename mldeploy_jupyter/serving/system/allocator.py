"""Settings of glibc's allocator. With another C library these functions do nothing.

By itself glibc returns the memory of a large body to the kernel when the body is freed, and takes it again, page by
page and zeroed, for the next one. That can take longer than everything else that is done with the body.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h

# Bytes of free memory that a heap keeps. A process has a heap for each of two or three threads that allocate much.
MAX_KEPT = 32 * 1024 * 1024

# Bytes. Larger blocks are returned to the kernel when they are freed: kept, they would leave holes in the heap.
MMAP_THRESHOLD = 4 * 1024 * 1024

_KEPT_SHARE = 16  # a heap keeps at most a sixteenth of a limited process's memory

# What a user sets for the allocator in the environment stays.
_VARIABLES = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_")


def keep_freed_memory(
    memory_limit: int = 0, environ: Mapping[str, str] = os.environ, library: Callable[[], Any] = lambda: _c_library()
) -> None:
    """Lets this process keep some of the memory that it frees. `memory_limit`: what it may use, in bytes; 0: no limit.

    Under a limit it keeps less.
    """
    mallopt = getattr(library(), "mallopt", None)
    if mallopt is not None and not any(name in environ for name in _VARIABLES):
        mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD)
        mallopt(_M_TRIM_THRESHOLD, min(MAX_KEPT, memory_limit // _KEPT_SHARE) if memory_limit else MAX_KEPT)


def return_freed_memory() -> None:
    """Gives the kernel all memory that is free. Takes some milliseconds, in which other threads cannot allocate."""
    trim = getattr(_c_library(), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _c_library() -> Any:
    try:
        return ctypes.CDLL(None)
    except OSError:
        return None
