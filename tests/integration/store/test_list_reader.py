"""Lists and their mark, on both databases."""

from __future__ import annotations

from mldeploy_jupyter.core.records import DeploymentRecord, ModelRecord, RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.store.store import Store
from tests.polling import wait_until


def test_lists_are_what_the_store_has(store: Store) -> None:
    reader = store.list_reader()
    store.add_model(ModelRecord("m", tags={"a": "é"}, details={"x": [1]}))
    for name in ("churn", "zebra"):
        store.save_service(ServiceRecord(name, revision=1, deployment_id=f"d-{name}", tags={"x": name}))
        store.add_deployment(DeploymentRecord(f"d-{name}", name, state="live", request={"x": 1}))
        store.add_revision(RevisionRecord(name, outcome="live", models=["m:1"], deployment_id=f"d-{name}"))
    first = reader.read()
    assert first.services == store.list_services() and first.models == store.list_models()
    assert first.live == {record.service: record for record in store.list_revisions()}
    assert first.deployments == store.get_deployments(["d-churn", "d-zebra"])
    store.update_service("zebra", state="Stopped")
    second = reader.read()
    assert second.services[0] is first.services[0] and second.services[1].state == "Stopped"
    assert second.models[0] is first.models[0] and second.live["zebra"] is first.live["zebra"]


def test_the_mark_changes_with_what_another_process_writes(store: Store, store_url: str) -> None:
    other = Store(store_url)
    store.list_services()
    for number in range(5):
        wait_until(lambda: store.change_mark() == store.change_mark())  # the files are old enough to be trusted
        mark = store.change_mark()
        store.list_services()
        assert store.change_mark() == mark
        other.save_service(ServiceRecord("churn", description=str(number)))
        assert store.change_mark() != mark
    other.close()
