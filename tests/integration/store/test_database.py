"""Schema versions: an older store is migrated, a newer one refused, an unusable database explained."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mldeploy_jupyter.core.errors import StorageError, StoreError
from mldeploy_jupyter.core.records import ModelRecord
from mldeploy_jupyter.core.store import sqlite, tables
from mldeploy_jupyter.core.store.store import Store

# What a store of version 1 was made with, written out: the present code must not change under this test.
VERSION_1 = """
CREATE TABLE mldeploy_meta (key VARCHAR NOT NULL, value VARCHAR NOT NULL, PRIMARY KEY (key));
CREATE TABLE mldeploy_models (name VARCHAR NOT NULL, version INTEGER NOT NULL, digest VARCHAR NOT NULL,
  run_id VARCHAR, created_time VARCHAR NOT NULL, deleted INTEGER DEFAULT '0' NOT NULL, data JSON NOT NULL,
  PRIMARY KEY (name, version));
CREATE TABLE mldeploy_services (name VARCHAR NOT NULL, created_time VARCHAR NOT NULL, data JSON NOT NULL,
  PRIMARY KEY (name));
CREATE TABLE mldeploy_revisions (service VARCHAR NOT NULL, number INTEGER NOT NULL, bundle_digest VARCHAR NOT NULL,
  outcome VARCHAR NOT NULL, data JSON NOT NULL, PRIMARY KEY (service, number));
CREATE TABLE mldeploy_deployments (id VARCHAR NOT NULL, service VARCHAR NOT NULL, state VARCHAR NOT NULL,
  created_time VARCHAR NOT NULL, data JSON NOT NULL, PRIMARY KEY (id));
CREATE INDEX mldeploy_deployments_of_service ON mldeploy_deployments (service, created_time);
CREATE TABLE mldeploy_environments (name VARCHAR NOT NULL, version INTEGER NOT NULL, created_time VARCHAR NOT NULL,
  data JSON NOT NULL, PRIMARY KEY (name, version));
INSERT INTO mldeploy_meta VALUES ('schema_version', '1');
INSERT INTO mldeploy_models VALUES ('old', 1, 'abc', NULL, '2026-01-01T00:00:00.000Z', 0,
  '{"size": 7, "files": {"m.pkl": ["ab", 7]}, "tags": {"a": "b"}}');
"""


def execute(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture
def version_1(store_url: str) -> str:
    execute(store_url, *filter(str.strip, VERSION_1.split(";\n")))
    return store_url


def test_an_older_store_is_brought_up_to_date(version_1: str) -> None:
    store = Store(version_1)
    model = store.get_model("old")
    assert model is not None
    assert (model.size, model.tags, model.details) == (7, {"a": "b"}, {})
    assert store.add_model(ModelRecord("old", details={"python": "3.11"})).version == 2
    assert store.get_model("old").details == {"python": "3.11"}  # type: ignore[union-attr]
    assert store.leases.acquire("s", "d", 1, {}).holder == "d"
    store.close()
    Store(version_1).close()  # once is enough


def test_the_migrated_schema_is_the_new_one(version_1: str, tmp_path: Path) -> None:
    Store(version_1).close()
    Store(f"sqlite:///{tmp_path}/fresh.db").close()

    def columns(url: str) -> dict[str, set[str]]:
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        inspector = sa.inspect(engine)
        return {name: {c["name"] for c in inspector.get_columns(name)} for name in inspector.get_table_names()}

    assert columns(version_1) == columns(f"sqlite:///{tmp_path}/fresh.db")


def test_a_backup_is_made_before_a_migration(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)
    Store(f"sqlite:///{path}")
    backup = tmp_path / "store.db.bak-v1"
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT value FROM mldeploy_meta").fetchall() == [("1",)]
        assert connection.execute("SELECT name, version FROM mldeploy_models").fetchall() == [("old", 1)]


def test_a_migration_that_fails_changes_nothing(version_1: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(connection: sa.Connection) -> None:
        tables._to_version_2(connection)
        raise RuntimeError("power cut")

    monkeypatch.setitem(tables.MIGRATIONS, 2, half)
    with pytest.raises(RuntimeError):
        Store(version_1)
    monkeypatch.undo()
    store = Store(version_1)
    assert store.get_model("old") is not None
    store.close()


def test_a_newer_store_is_refused_and_left_alone(store_url: str, snapshot, tmp_path: Path) -> None:
    Store(store_url).close()
    execute(store_url, "UPDATE mldeploy_meta SET value = '99' WHERE key = 'schema_version'")
    with pytest.raises(StoreError) as caught:
        Store(store_url)
    label = str(tmp_path / "store.db") if "sqlite" in store_url else store_url
    assert str(caught.value).replace(label, "STORE") == snapshot
    assert not list(tmp_path.glob("*.bak*"))


def test_the_store_is_private(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        Store(f"sqlite:///{tmp_path}/store.db")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "store.db").stat().st_mode) == 0o600


def test_an_unusable_database_is_explained(tmp_path: Path, snapshot) -> None:
    (tmp_path / "store.db").write_bytes(b"this is not a database, it is a text of some length" * 40)
    (tmp_path / "folder.db").mkdir()
    urls = [
        f"sqlite:///{tmp_path}/store.db",
        f"sqlite:///{tmp_path}/folder.db",
        f"sqlite:///{tmp_path}/nowhere/store.db",
        "sqlite://",
        "store.db",
        "mysql://root:secret@localhost/db",
        "postgresql+psycopg://user:secret@127.0.0.1:1/db",
    ]
    texts = []
    for url in urls:
        with pytest.raises(StoreError) as caught:
            Store(url)
        texts.append(str(caught.value).replace(str(tmp_path), "FOLDER"))
    assert "secret" not in "".join(texts)
    assert texts == snapshot


def test_a_full_disk_is_a_storage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(f"sqlite:///{tmp_path}/store.db")
    store.add_model(ModelRecord("m"))
    from sqlalchemy import event

    event.listen(store._database.engine, "begin", lambda c: c.exec_driver_sql("PRAGMA max_page_count=1"))
    with pytest.raises(StorageError, match="could not be written"):
        store.add_model(ModelRecord("big", description="x" * 1_000_000))
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        assert connection.execute("SELECT count(*) FROM mldeploy_models").fetchone() == (1,)


def test_the_journal_mode_depends_on_the_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mode(path: Path) -> str:
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute("PRAGMA journal_mode").fetchone()[0]

    Store(f"sqlite:///{tmp_path}/local.db").close()
    assert mode(tmp_path / "local.db") == "wal"
    monkeypatch.setattr("mldeploy_jupyter.core.store.sqlite.on_network_filesystem", lambda path: True)
    Store(f"sqlite:///{tmp_path}/remote.db")
    assert mode(tmp_path / "remote.db") == "delete"
    # One that was made on a local disk and moved leaves WAL as well.
    Store(f"sqlite:///{tmp_path}/local.db").add_model(ModelRecord("m"))
    assert mode(tmp_path / "local.db") == "delete"


def test_set_journal_mode_waits_for_another_process(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("CREATE TABLE theirs (x)")
        other.execute("BEGIN")
        other.execute("SELECT * FROM theirs").fetchall()  # a reader is enough to refuse the change of mode

        class Connection(sqlite3.Connection):
            refused = 0

            def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
                try:
                    return super().execute(sql, parameters)
                except sqlite3.OperationalError:
                    self.refused += 1
                    if self.refused == 2:
                        other.execute("COMMIT")
                    raise

        with closing(sqlite3.connect(tmp_path / "store.db", timeout=0, factory=Connection)) as ours:
            sqlite.set_journal_mode(ours, "WAL")
            assert ours.refused == 2
            assert ours.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_unknown_keys_of_a_newer_record_are_dropped(store_url: str) -> None:
    Store(store_url).close()
    data = json.dumps({"size": 1, "files": {}, "from_the_future": 1})
    execute(
        store_url,
        "INSERT INTO mldeploy_models (name, version, digest, created_time, data)"
        f" VALUES ('m', 1, 'd', '2026', '{data}')",
    )
    store = Store(store_url)
    assert store.get_model("m").size == 1  # type: ignore[union-attr]
    store.close()


def test_opening_a_store_waits_for_no_writer(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    Store(url).add_model(ModelRecord("m"))
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert Store(url).get_model("m") is not None
