"""The store and the journal say how a deployment ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mldeploy_jupyter.core.journal import fold
from mldeploy_jupyter.core.journal.journal import Journal, read_events
from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.deployment.files import journal_path
from mldeploy_jupyter.deployment.outcome import record_live, record_not_live
from mldeploy_jupyter.targets import Endpoint

ENDPOINT = Endpoint("http://127.0.0.1:1/score", "http://127.0.0.1:1/swagger.json", {"port": 1, "modules": {"a": "b"}})


@pytest.fixture
def journal(workspace: WorkspaceFolder, service: ServiceRecord) -> Iterator[Journal]:
    journal = Journal(journal_path(workspace, "d1"))
    yield journal
    journal.close()


def test_a_live_deployment_has_its_endpoint_and_revision(workspace: WorkspaceFolder, journal: Journal) -> None:
    store = workspace.open_store()
    revision = store.get_revision("svc", 1)
    assert revision is not None
    for _ in range(2):  # the second time nothing changes
        record_live(store, journal, revision, ENDPOINT, seconds=1.5)
        service, deployment = store.get_service("svc"), store.get_deployment("d1")
        assert service is not None and deployment is not None
        assert (service.state, service.revision, service.endpoint["port"]) == ("Live", 1, 1)
        assert "modules" not in service.endpoint
        assert (deployment.state, bool(deployment.finished_time)) == ("live", True)
    timeline = fold(read_events(journal.path))
    assert (timeline.state, timeline.scoring_uri, timeline.elapsed) == ("Live", ENDPOINT.scoring_uri, 1.5)


@pytest.mark.parametrize(
    ("passed", "expected"),
    [({}, True), ({"auth_enabled": False}, False), ({"token_auth_enabled": True}, False)],
)
def test_a_live_service_requires_keys_unless_told_otherwise(
    workspace: WorkspaceFolder, journal: Journal, passed: dict[str, bool], expected: bool
) -> None:
    store = workspace.open_store()
    revision = store.add_revision(RevisionRecord("svc", deployment_id="d1", deploy_config={"passed": passed}))
    record_live(store, journal, revision, ENDPOINT)
    service = store.get_service("svc")
    assert service is not None and service.auth_enabled is expected


def test_a_failed_deployment_keeps_its_cause_everywhere(workspace: WorkspaceFolder, journal: Journal) -> None:
    store, cause = workspace.open_store(), {"code": "x", "what": "it broke"}
    record_not_live(store, journal, "svc", "d1", "failed", "it broke", revision=1, cause=cause)
    service, deployment = store.get_service("svc"), store.get_deployment("d1")
    assert service is not None and deployment is not None
    assert (service.state, service.error) == ("Failed", cause)
    assert (deployment.state, deployment.cause) == ("failed", cause)
    assert [revision.outcome for revision in store.list_revisions("svc")] == ["failed"]
    assert fold(read_events(journal.path)).cause == cause


def test_the_old_revision_goes_on_serving(workspace: WorkspaceFolder, journal: Journal) -> None:
    store = workspace.open_store()
    store.update_service("svc", revision=1, error={"what": "before"})
    store.add_revision(RevisionRecord("svc", deployment_id="d1"))
    record_not_live(store, journal, "svc", "d1", "cancelled", "cancelled", revision=2)
    service = store.get_service("svc")
    assert service is not None and (service.state, service.revision, service.error) == ("Live", 1, None)
    timeline = fold(read_events(journal.path))
    assert (timeline.state, timeline.serving) == ("Cancelled", 1)


def test_an_interrupted_deployment_leaves_the_last_error(workspace: WorkspaceFolder, journal: Journal) -> None:
    store = workspace.open_store()
    store.update_service("svc", error={"what": "before"})
    record_not_live(store, journal, "svc", "d1", "interrupted", "its runner died", cause={"what": "x"}, at="check")
    service = store.get_service("svc")
    assert service is not None and service.error == {"what": "before"}
    assert [revision.outcome for revision in store.list_revisions("svc")] == ["pending"]
    (event,) = read_events(journal.path)
    assert "cause" not in event.data and event.data["at"] == "check"


def test_a_process_that_goes_on_after_its_end_was_recorded_changes_nothing(
    workspace: WorkspaceFolder, journal: Journal
) -> None:
    store = workspace.open_store()
    revision = store.get_revision("svc", 1)
    assert revision is not None
    record_not_live(store, journal, "svc", "d1", "interrupted", "its runner was stopped", revision=1)
    before = store.get_service("svc"), store.get_deployment("d1"), list(read_events(journal.path))
    record_live(store, journal, revision, ENDPOINT)
    record_not_live(store, journal, "svc", "d1", "failed", "its lease was lost", cause={"what": "x"})
    assert (store.get_service("svc"), store.get_deployment("d1"), list(read_events(journal.path))) == before
