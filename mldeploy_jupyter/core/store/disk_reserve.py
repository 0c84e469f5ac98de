"""A little space on the disk, kept so that a full one can be tidied up: stopping, deleting and pruning write first."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mldeploy_jupyter.core.files import free_bytes

RESERVE_BYTES = 256 * 1024  # SQLite needs 32 KiB to open its log, and a few pages of 4 KiB a transaction


def release_reserve(store: Path) -> None:
    """Removes the reserve of the SQLite file `store` when the disk has less space free than the reserve takes."""
    with suppress(OSError):
        if free_bytes(store.parent) < RESERVE_BYTES:
            _path(store).unlink(missing_ok=True)


def make_reserve(store: Path) -> None:
    """Makes the reserve of the SQLite file `store`, unless it is there or there is no room to spare."""
    path = _path(store)
    with suppress(OSError):
        if path.exists() or free_bytes(store.parent) < 8 * RESERVE_BYTES:
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, bytes(RESERVE_BYTES))
        finally:
            os.close(descriptor)


def _path(store: Path) -> Path:
    return store.with_name(f"{store.name}.reserve")
