"""Services as data: state, health, environment, what may be done; and a number of queries that does not grow."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord
from mldeploy_jupyter.deployment import record_service_event
from mldeploy_jupyter.panel import handle
from mldeploy_jupyter.targets import ServiceStatus
from mldeploy_jupyter.targets.process import ProcessTarget
from tests.queries import count_queries
from tests.unit.panel.conftest import Site


@pytest.fixture
def live(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A service whose second revision serves, as far as its target says."""
    site.end(site.begin(), "live")
    site.clock.seconds += 60
    site.end(site.begin("d2", operation="update"), "live", "d2")
    site.store.update_service("churn", endpoint={"scoring_uri": "http://127.0.0.1:1/score"})
    monkeypatch.setattr(ProcessTarget, "status", lambda self, service: ServiceStatus("Live", service.revision))
    return site


def test_a_live_service(live: Site) -> None:
    found = live.ask("service.describe", service="churn")
    assert (found["state"], found["revision"], found["kept"], found["auth"]) == ("live", 2, [1], "key")
    assert found["health"] == {"state": "healthy", "text": "Healthy", "checked": "2026-11-22T12:01:00.000Z"}
    assert (found["since"], found["deployment"], found["deploying"]) == ("2026-11-22T12:01:00.000Z", "d2", False)
    assert found["tabs"] == ["test", "logs", "latency", "api", "code", "history", "settings"]
    assert found["can"] == [
        "test", "keys", "regen-key", "update", "scale", "rollback", "reload", "restart", "stop", "delete",
    ]  # fmt: skip
    assert {"label": "Scoring timeout", "value": "1 min 0 s"} in found["settings"]
    assert {"label": "Workers", "value": "1"} in found["settings"]
    assert (found["workspaceTitle"], found["folder"]) == ("home", str(live.folder.root.parent))


STATES = {
    "live": (ServiceStatus("Live"), "live", ["stop", "restart"], ["start", "cancel"]),
    "stopped": (ServiceStatus("Stopped"), "stopped", ["start", "update"], ["stop", "restart", "test"]),
    "unhealthy": (
        ServiceStatus("Unhealthy", failure={"code": "x", "what": "the supervisor is gone"}),
        "unhealthy",
        ["start", "stop", "test"],
        ["cancel"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_orders_follow_from_the_state(live: Site, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    status, state, can, cannot = STATES[name]
    monkeypatch.setattr(ProcessTarget, "status", lambda self, service: status)
    found = live.ask("service.describe", service="churn")
    assert found["state"] == state
    assert set(can) <= set(found["can"]) and not set(cannot) & set(found["can"])
    if name == "unhealthy":
        assert found["health"]["text"] == found["error"]["error"] == "the supervisor is gone"


def test_while_it_is_updated_it_can_be_cancelled_and_tested(live: Site) -> None:
    live.begin("d3", operation="update")
    found = live.ask("service.describe", service="churn")
    assert (found["state"], found["deploying"]) == ("updating", True)
    assert found["can"] == ["test", "keys", "regen-key", "delete", "cancel"]


def test_a_service_that_was_never_live_can_be_deleted(site: Site) -> None:
    site.end(site.begin(), "failed", cause={"code": "x", "what": "init() failed", "why": "KeyError", "hint": "mend it"})
    found = site.ask("service.describe", service="churn")
    assert (found["state"], found["can"], found["tabs"]) == ("failed", ["delete"], ["logs", "history", "settings"])
    assert found["error"] == {"code": "x", "error": "init() failed", "cause": "KeyError", "hint": "mend it"}


def test_a_service_of_another_machine_is_shown_and_left_alone(live: Site) -> None:
    live.store.update_service("churn", endpoint={"host": "elsewhere"})
    found = live.ask("service.describe", service="churn")
    assert (found["can"], found["tabs"], found["health"]["state"]) == ([], ["history"], "unknown")
    live.begin("d3", operation="update")
    live.store.update_service("churn", endpoint={"host": "elsewhere"})
    assert live.ask("service.describe", service="churn")["can"] == ["cancel"]


def test_a_service_without_keys_or_with_a_pruned_revision(live: Site) -> None:
    live.store.update_service("churn", auth_enabled=False)
    live.store.update_revision("churn", 1, bundle_digest="0" * 64)
    found = live.ask("service.describe", service="churn")
    assert (found["auth"], found["kept"]) == ("none", [])
    assert not {"keys", "regen-key", "rollback"} & set(found["can"])
    assert live.ask("service.keys", service="churn") == dict.fromkeys(("primary", "secondary", "token", "expires"), "")


def test_what_it_runs_with(live: Site) -> None:
    bundle = live.folder.bundles / ("b" * 64)
    bundle.mkdir(parents=True)
    lock = "# mldeploy environment lock 1\n# python 3.11.7\nnumpy==2.1.0 \\\n    --hash=sha256:0\nscikit-learn==1.5.0\n"
    (bundle / "environment.lock").write_text(lock)
    live.store.update_revision("churn", 2, bundle_digest="b" * 64, environment={"kind": "venv"})
    facts = {fact["label"]: fact["value"] for fact in live.ask("service.describe", service="churn")["environment"]}
    assert facts == {"Environment": "built from its lock", "Python": "3.11.7", "Packages": "2"}
    image = {"image": "mldeploy-0f1e2d3c/churn:2", "image_id": "sha256:1", "receipt": {"python": "3.11.2"}}
    live.store.update_revision("churn", 2, **image)
    facts = {fact["label"]: fact["value"] for fact in live.ask("service.describe", service="churn")["environment"]}
    assert facts == {"Python": "3.11.2", "Packages": "2", "Image": "mldeploy-0f1e2d3c/churn:2"}
    live.store.update_revision("churn", 2, image="", image_id="", receipt={})
    pinned = {"kind": "current", "python": "/none/bin/python", "pins": ["numpy==2.1.0"]}
    live.store.update_revision("churn", 2, bundle_digest="", environment=pinned)
    facts = {fact["label"]: fact["value"] for fact in live.ask("service.describe", service="churn")["environment"]}
    assert facts == {"Environment": "this kernel's own", "Packages": "1 used"}


def test_a_list_takes_as_many_queries_for_thirty_services_as_for_three(site: Site) -> None:
    counts = []
    for count in (3, 30):
        for number in range(count):
            name = f"service-{number}"
            site.store.add_revision(RevisionRecord(name, outcome="live"), durable=False)
            site.store.save_service(ServiceRecord(name, state="Live", revision=1))
        with count_queries(site.folder) as queries:
            assert len(site.ask("service.list")) == count
        counts.append(len(queries))
    assert counts[0] == counts[1] < 20


def test_the_services_of_every_workspace(live: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Workspace.create("away", path=str(tmp_path_factory.mktemp("away")))
    other.folder.open_store().save_service(ServiceRecord("second", state="Live", revision=1))
    found = live.ask("service.list", all=True)
    assert {(each["workspaceTitle"], each["service"]) for each in found} == {("home", "churn"), ("away", "second")}
    assert live.ask("service.describe", service="second", workspace=other.folder.id)["workspaceTitle"] == "away"
    (Path(other.folder.root) / "config.json").write_text("{")
    assert [each["service"] for each in live.ask("service.list", all=True)] == ["churn"]


def test_a_dead_runner_is_found_by_the_read(live: Site) -> None:
    live.begin("d3", operation="update")
    live.store.update_deployment("d3", runner={**process_identity.identify_process(), "started": "0"})
    found = live.ask("service.describe", service="churn")
    assert (found["state"], found["deploying"]) == ("live", False)


def test_a_service_that_is_not_there(site: Site) -> None:
    assert site.refuse("service.describe", service="churn")["code"] == "not-found"
    assert handle("service.history", {"service": "churn"}, site.context)["failure"]["code"] == "not-found"


def test_events_after_it_was_live_are_newest_first(site: Site) -> None:
    site.end(site.begin(), "live")
    assert site.ask("service.events", service="churn") == []
    (site.folder.services / "churn").mkdir(parents=True)
    record_service_event(site.folder, "churn", "died", "Its process is gone")
    record_service_event(site.folder, "churn", "live", "Answers again")
    assert [(each["kind"], each["text"]) for each in site.ask("service.events", service="churn")] == [
        ("live", "Answers again"),
        ("died", "Its process is gone"),
    ]
