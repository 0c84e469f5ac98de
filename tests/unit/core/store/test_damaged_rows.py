"""A damaged row hides no other and stops no write; what no command could name is removed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import StoreError
from mldeploy_jupyter.core.records import DeploymentRecord, ModelRecord, RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.store.database import Database
from mldeploy_jupyter.core.store.store import Store

# What SQLite keeps in a column of any type: text that is no UTF-8, bytes, numbers, and JSON of another shape.
VALUES = ("''", "x'ff00'", "CAST(x'fffe' AS TEXT)", "-5", "0", "9e300", "'[1]'", "'../..'", "'" + "[" * 3000 + "'")

KEYS = (("models", "name"), ("models", "version"), ("services", "name"), ("deployments", "id"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    for name in ("good", "bad"):
        store.add_model(ModelRecord(name))
        store.save_service(ServiceRecord(name))
        store.add_revision(RevisionRecord(name))
        store.add_deployment(DeploymentRecord(name, name))
        store.leases.acquire(name, name, 30, {})
    yield store
    store.close()


def damage(tmp_path: Path, statement: str) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute(statement)
        connection.commit()


def names(store: Store) -> tuple[list[str], ...]:
    return (
        [model.name for model in store.list_models()],
        [service.name for service in store.list_services()],
        store.list_service_names(),
        [deployment.id for deployment in store.list_deployments()],
    )


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(("table", "column"), KEYS)
def test_a_row_with_a_damaged_key_is_left_out_and_removed(
    store: Store, tmp_path: Path, table: str, column: str, value: str
) -> None:
    where = "id" if table == "deployments" else "name"
    damage(tmp_path, f"UPDATE mldeploy_{table} SET {column} = {value} WHERE {where} = 'bad'")
    for found in names(store):
        assert "good" in found and set(found) <= {"good", "bad", "0", "-5"}
    store.remove_damaged_rows()
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        left = connection.execute(f"SELECT CAST({column} AS TEXT) FROM mldeploy_{table}").fetchall()
    assert all(text in ("good", "bad", "1", "0") for (text,) in left), left
    assert store.remove_damaged_rows() == 0


@pytest.mark.parametrize("value", ["'garbage'", "9e300", "x'ff'", "-5"])
def test_numbers_are_given_out_past_a_damaged_one(store: Store, tmp_path: Path, value: str) -> None:
    store.add_model(ModelRecord("bad"))
    damage(tmp_path, f"UPDATE mldeploy_models SET version = {value} WHERE name = 'bad' AND version = 1")
    assert store.add_model(ModelRecord("bad")).version == 3


@pytest.mark.parametrize("value", ["'garbage'", "x'ff'", "1e12", "-5"])
def test_a_lease_whose_end_is_damaged_has_expired(store: Store, tmp_path: Path, value: str) -> None:
    damage(tmp_path, f"UPDATE mldeploy_leases SET expires = {value} WHERE service = 'bad'")
    lease = store.leases.get("bad")
    assert lease is not None and lease.expires <= 0
    assert store.leases.acquire("bad", "another", 30, {}).holder == "another"


def test_a_store_whose_version_is_damaged_says_what_to_do(store: Store, tmp_path: Path) -> None:
    (tmp_path / "store.db.bak-v1").touch()
    for value in ("'garbage'", "x'ff'", "-4", "0", "''"):
        damage(tmp_path, f"UPDATE mldeploy_meta SET value = {value}")
        with pytest.raises(StoreError) as error:
            Database(f"sqlite:///{tmp_path / 'store.db'}", lambda: 0.0)
        assert str(tmp_path / "store.db") in error.value.what
        assert "store.db.bak-v1" in error.value.hint and "mv " in error.value.hint


@pytest.mark.parametrize("content", [None, b""])
def test_an_open_store_whose_file_is_lost_is_a_new_one(store: Store, tmp_path: Path, content: bytes | None) -> None:
    assert names(store)[1] == ["bad", "good"]
    for path in tmp_path.glob("store.db*"):
        path.unlink()
    if content is not None:
        (tmp_path / "store.db").write_bytes(content)
    assert store.list_services() == [] and store.add_model(ModelRecord("m")).version == 1


@pytest.mark.parametrize("value", ["'x'", "x'ff00'", "2.5", "-5", "9e300", str(2**31)])
def test_a_damaged_version_does_not_hide_the_latest(store: Store, tmp_path: Path, value: str) -> None:
    store.add_model(ModelRecord("bad"))
    damage(tmp_path, f"UPDATE mldeploy_models SET version = {value} WHERE name = 'bad' AND version = 2")
    latest = store.get_model("bad")
    assert latest is not None and latest.id == "bad:1"
    assert {model.id for model in store.list_models(latest=True)} == {"good:1", "bad:1"}
