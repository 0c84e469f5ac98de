"""The store does the same on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.core.errors import (
    ModelNotFoundException,
    WebserviceException,
    WebserviceNotFound,
)
from mldeploy_jupyter.core.records import DeploymentRecord, ModelRecord, RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.store.store import Store


def service(name: str, **more: object) -> ServiceRecord:
    return ServiceRecord(name, "local", "Local", **more)  # type: ignore[arg-type]


def test_a_model_is_read_back_unchanged(store: Store) -> None:
    record = ModelRecord(
        "m",
        digest="d",
        size=3,
        files={"a/b.pkl": ["ab" * 32, 3]},
        tags={"area": "diabetes", "n": 1.5, "ü": [None, True]},
        properties={"p": {"q": "\u2028"}},
        description="d\u0000 is not a reason to fail" if "sqlite" in store._database.engine.url.drivername else "d",
        resource_configuration={"cpu": 1},
        details={"libraries": {"scikit-learn": "1.5.0"}},
        run_id="r",
        created_by="me",
    )
    added = store.add_model(record)
    assert added.version == 1 and added.created_time.endswith("Z")
    assert store.get_model("m") == added == store.get_model("m", 1)
    assert store.list_models() == [added]


def test_versions_count_from_one_and_are_never_reused(store: Store) -> None:
    assert [store.add_model(ModelRecord("m")).version for _ in range(3)] == [1, 2, 3]
    assert store.delete_model("m", 3)
    assert not store.delete_model("m", 3)
    assert store.get_model("m", 3) is None
    assert store.get_model("m").version == 2  # type: ignore[union-attr]
    assert store.add_model(ModelRecord("m")).version == 4
    assert store.add_model(ModelRecord("other")).version == 1


def test_models_are_listed_newest_first(store: Store) -> None:
    for name, time in (("a", "2026-01-01"), ("b", "2026-01-02"), ("a", "2026-01-03")):
        store.add_model(ModelRecord(name, created_time=time))
    assert [m.id for m in store.list_models()] == ["a:2", "b:1", "a:1"]
    assert [m.id for m in store.list_models("a")] == ["a:2", "a:1"]
    assert [m.id for m in store.list_models(latest=True)] == ["a:2", "b:1"]


def test_fields_of_a_model_change_one_at_a_time(store: Store) -> None:
    store.add_model(ModelRecord("m", tags={"a": 1}, description="x"))
    assert store.change_model("m", 1, lambda found: {"tags": {"b": 2}}).description == "x"
    assert store.get_model("m").tags == {"b": 2}  # type: ignore[union-attr]
    with pytest.raises(ModelNotFoundException):
        store.change_model("m", 2, lambda found: {"tags": {}})
    with pytest.raises(TypeError):
        store.change_model("m", 1, lambda found: {"nonsense": 1})


def test_a_service_and_its_revisions(store: Store) -> None:
    kept = store.save_service(service("s", tags={"a": "b"}))
    assert store.get_service("s") == kept
    assert store.update_service("s", state="Live", revision=1).state == "Live"
    assert store.save_service(service("s")).revision == 0
    assert [s.name for s in store.list_services()] == ["s"]
    numbers = [store.add_revision(RevisionRecord("s", models=["m:1"])).number for _ in range(3)]
    assert numbers == [1, 2, 3]
    assert store.add_revision(RevisionRecord("t")).number == 1
    assert store.update_revision("s", 2, outcome="live", environment={"digest": "e"}).models == ["m:1"]
    assert store.get_revision("s", 2).outcome == "live"  # type: ignore[union-attr]
    assert [r.number for r in store.list_revisions("s")] == [3, 2, 1]
    with pytest.raises(WebserviceException):
        store.update_revision("s", 9, outcome="live")
    assert store.remove_service("s") and not store.remove_service("s")
    assert store.get_service("s") is None and store.list_revisions("s") == []
    with pytest.raises(WebserviceNotFound):
        store.update_service("s", state="Live")


def test_services_using_a_model(store: Store) -> None:
    for name in ("current", "pending", "past", "failed", "starting", "gone"):
        store.save_service(service(name))
    for name, outcomes in {
        "current": ["live"],
        "pending": ["pending"],
        "failed": ["failed"],
        "gone": ["live"],
    }.items():
        for outcome in outcomes:
            store.add_revision(RevisionRecord(name, models=["m:1", "n:2"], outcome=outcome))
    store.add_revision(RevisionRecord("past", models=["m:1"], outcome="kept"))
    store.add_revision(RevisionRecord("past", models=["m:2"], outcome="live"))
    store.update_service("current", revision=1)
    store.update_service("past", revision=2)
    store.add_deployment(DeploymentRecord("d", "starting", "local", request={"models": ["m:1"]}))
    store.remove_service("gone")
    assert store.services_using("m:1") == ["current", "pending", "starting"]
    assert store.services_using("m:2") == ["past"]
    assert store.services_using("m:11") == []


def test_deployments(store: Store) -> None:
    for number in range(3):
        store.add_deployment(
            DeploymentRecord(f"d{number}", "s", "local", created_time=f"2026-01-0{number + 1}", request={"a": [1]})
        )
    store.add_deployment(DeploymentRecord("e", "t", "local", created_time="2026-01-09"))
    assert [d.id for d in store.list_deployments()] == ["e", "d2", "d1", "d0"]
    assert [d.id for d in store.list_deployments("s", limit=2)] == ["d2", "d1"]
    done = store.update_deployment("d0", state="failed", cause={"code": "X"})
    assert store.get_deployment("d0") == done
    assert [d.id for d in store.list_deployments(state="failed")] == ["d0"]
    assert store.get_deployment("nope") is None
    with pytest.raises(WebserviceException):
        store.update_deployment("nope", state="live")
    assert store.remove_deployments(["d0", "nope"]) == 1


def test_environments(store: Store) -> None:
    assert store.add_environment("e", {"conda": "a"}) == 1
    assert store.add_environment("e", {"conda": "b"}) == 2
    assert store.get_environment("e") == {"conda": "b", "name": "e", "version": 2}
    assert store.get_environment("e", 1) == {"conda": "a", "name": "e", "version": 1}
    assert store.get_environment("e", 3) is None
    assert [(e["name"], e["version"]) for e in store.list_environments()] == [("e", 2), ("e", 1)]
