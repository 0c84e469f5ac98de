"""A copy of the store in memory shows what is in the file and in its log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.core.store import database
from mldeploy_jupyter.core.store.snapshot import Snapshot
from mldeploy_jupyter.core.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    yield store
    store.close()


def names(snapshot: Snapshot) -> list[str]:
    with snapshot.engine().connect() as connection:
        return [name for (name,) in connection.exec_driver_sql("SELECT name FROM mldeploy_services ORDER BY name")]


def test_a_snapshot_follows_the_file(store: Store, tmp_path: Path) -> None:
    store.save_service(ServiceRecord("a", "local", "Local"))
    snapshot = Snapshot(tmp_path / "store.db")
    assert names(snapshot) == ["a"]
    store.save_service(ServiceRecord("b", "local", "Local"))
    assert names(snapshot) == ["a", "b"]
    snapshot.close()


def test_reads_use_a_snapshot_where_the_file_cannot_be_opened(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    from sqlalchemy.exc import OperationalError

    store.save_service(ServiceRecord("a", "local", "Local"))
    enter = database._enter

    def full(stack: object, engine: object, options: dict[str, bool]) -> object:
        if engine is store._database.engine:
            raise OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))
        return enter(stack, engine, options)  # type: ignore[arg-type]

    monkeypatch.setattr(database, "_enter", full)
    assert [service.name for service in store.list_services()] == ["a"]


def test_a_snapshot_leaves_the_locks_of_open_connections(store: Store, tmp_path: Path) -> None:
    """A process that closes a file loses its POSIX locks on it; another one may then damage the store."""
    store.save_service(ServiceRecord("a", "local", "Local"))
    inodes = {str(path.stat().st_ino) for path in tmp_path.glob("store.db*")}

    def locked() -> set[str]:
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        return {f[5].rpartition(":")[2] for f in lines if f[1] == "POSIX" and f[4] == str(os.getpid())} & inodes

    before = locked()
    assert before
    snapshot = Snapshot(tmp_path / "store.db")
    assert names(snapshot) == ["a"] and locked() == before
    snapshot.close()


def test_a_file_that_cannot_be_copied_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"store\.db"):
        Snapshot(tmp_path / "store.db").engine()
