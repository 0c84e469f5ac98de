"""Imports that a person waits for."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collections() -> Iterator[None]:
    """Runs its block without garbage collections: for imports, which leave no garbage.

    The objects that imports make set off full collections, and each looks at every object of the process: 30 ms in a
    kernel that has imported pandas, several times while 200 modules are imported.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
