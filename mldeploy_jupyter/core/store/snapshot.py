"""Reads a SQLite file where SQLite cannot: its write-ahead log needs a file beside it, also for reading.

On a full or read-only disk that file cannot be made, so the store and its log are copied to memory and read there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mldeploy_jupyter.core.files import file_version
from mldeploy_jupyter.core.store.sqlite import load_json, read_damaged_text

if TYPE_CHECKING:
    from sqlalchemy import Engine

PLACES = ("/dev/shm", None)  # memory, else the folder for temporary files

Versions = tuple[tuple[int, int, int, int] | None, ...]


class Snapshot:
    """A copy of the SQLite file `path`, made again when the file has changed. It is removed with this object."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._versions: Versions = ()
        self._engine: Engine | None = None

    def engine(self) -> Engine:
        """An engine that reads the copy. Raises `OSError` when it cannot be made."""
        versions = self._find_versions()
        if self._engine is None or versions != self._versions:
            self.close()
            self._engine, self._versions = self._copy(), versions
        return self._engine

    def close(self) -> None:
        """Removes the copy."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
            self._remove()

    def _files(self) -> tuple[Path, Path]:
        return self._path, self._path.with_name(self._path.name + "-wal")

    def _find_versions(self) -> Versions:
        found: list[tuple[int, int, int, int] | None] = []
        for path in self._files():
            try:
                found.append(file_version(path.stat()))
            except FileNotFoundError:
                found.append(None)
        return tuple(found)

    def _copy(self) -> Engine:
        import sqlalchemy as sa

        folder = _make_folder()
        self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        store, log = self._files()
        copy = folder / "store.db"
        _copy_file(store, copy)
        if log.exists():
            _copy_file(log, folder / "store.db-wal")
        engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(copy)), poolclass=sa.NullPool, json_deserializer=load_json
        )
        sa.event.listen(engine, "connect", lambda connection, _: read_damaged_text(connection))
        return engine


def _copy_file(source: Path, target: Path) -> None:
    """Copies a file in another process: one that closes a file loses its locks on it, those of SQLite as well."""
    copied = subprocess.run(["cp", source, target], stderr=subprocess.PIPE, text=True)
    if copied.returncode:
        raise OSError(copied.stderr.strip())


def _make_folder() -> Path:
    for place in PLACES:
        if place is None or os.access(place, os.W_OK):
            with suppress(OSError):
                return Path(tempfile.mkdtemp(prefix="mldeploy-store-", dir=place))
    return Path(tempfile.mkdtemp(prefix="mldeploy-store-"))
