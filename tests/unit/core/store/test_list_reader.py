"""The reader of lists: what has changed is found, and what has not is not parsed again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter.core.records import DeploymentRecord, ModelRecord, RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.store.store import Store
from tests.polling import wait_until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'store.db'}")
    yield store
    store.close()


def test_lists_are_what_the_store_has(store: Store) -> None:
    reader = store.list_reader()
    assert reader.read().services == []
    store.add_model(ModelRecord("m", tags={"a": "b"}))
    store.add_model(ModelRecord("m"))
    store.delete_model("m", 1)
    store.save_service(ServiceRecord("churn", revision=2, deployment_id="d2"))
    for number in (1, 2):
        store.add_deployment(DeploymentRecord(f"d{number}", "churn", state="live"))
        store.add_revision(RevisionRecord("churn", deployment_id=f"d{number}", models=["m:2"], bundle_digest="x"))
    store.update_revision("churn", 1, outcome="kept")
    store.update_revision("churn", 2, outcome="live")
    lists = reader.read()
    assert [record.id for record in lists.models] == ["m:2"]
    assert lists.services == [store.get_service("churn")]
    assert lists.live == {"churn": store.get_revision("churn", 2)} and lists.kept == {"churn": [(1, "x")]}
    assert lists.deployments == {"d2": store.get_deployment("d2")}


def test_what_has_not_changed_is_the_same_object(store: Store) -> None:
    for name in ("churn", "zebra"):
        store.save_service(ServiceRecord(name, revision=1, deployment_id=f"d-{name}"))
        store.add_deployment(DeploymentRecord(f"d-{name}", name, state="live" if name == "churn" else "running"))
        store.add_revision(RevisionRecord(name, outcome="live"))
    reader = store.list_reader()
    first = reader.read()
    store.update_service("zebra", state="Stopped")
    store.update_deployment("d-zebra", state="failed")
    second = reader.read()
    assert second.services[0] is first.services[0] and second.services[1].state == "Stopped"
    assert second.live["churn"] is first.live["churn"]
    assert second.deployments["d-churn"] is first.deployments["d-churn"]
    assert second.deployments["d-zebra"].state == "failed"  # one that ran is read again
    store.remove_service("churn")
    assert [record.name for record in reader.read().services] == ["zebra"]


def test_a_damaged_row_hides_no_other(store: Store) -> None:
    store.save_service(ServiceRecord("churn"))
    store.add_model(ModelRecord("m"))
    damage = (
        "INSERT INTO mldeploy_services VALUES ('zebra', '', '{'), ('../x', '', '{}')",
        "INSERT INTO mldeploy_models (name, version, digest, created_time, data) VALUES (x'ff', 'x', '', '', '[]')",
    )
    for statement in damage:
        store._database.run(lambda connection, sql=statement: connection.exec_driver_sql(sql), write=True)  # type: ignore[misc]
    lists = store.list_reader().read()
    assert [record.name for record in lists.services] == ["churn", "zebra"]
    assert [record.id for record in lists.models] == ["m:1"]


def test_the_mark_changes_with_every_write_and_only_then(store: Store, tmp_path: Path) -> None:
    assert not store.is_remote
    store.list_services()

    def settle() -> object:
        """The mark once the files are old enough to be trusted."""
        return wait_until(lambda: (mark := store.change_mark()) == store.change_mark() and mark)

    mark = settle()
    store.list_services()
    assert store.change_mark() == mark
    other = Store(f"sqlite:///{tmp_path / 'store.db'}")  # as another process has it
    other.save_service(ServiceRecord("churn"))
    assert store.change_mark() != mark
    mark = settle()
    for number in range(20):  # quickly, so that the clock of the file system may stand still
        before = store.change_mark()
        other.update_service("churn", description=str(number))
        assert store.change_mark() != before
    other.close()
