"""A deployment whose runner died is found when its service is read, and its end is recorded."""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import DeploymentInProgress
from mldeploy_jupyter.core.journal.journal import Journal, read_events
from mldeploy_jupyter.core.records import DeploymentRecord, ServiceRecord
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.deployment import recovery
from mldeploy_jupyter.deployment.files import journal_path
from mldeploy_jupyter.deployment.lease import LEASE_SECONDS, RENEWAL_SECONDS
from mldeploy_jupyter.deployment.recovery import (
    recover_lost_deployments,
    refresh_deployment,
    refresh_service,
    refuse_unfinished_update,
)
from mldeploy_jupyter.targets import ServiceStatus
from tests.polling import wait_until

HERE = process_identity.identify_process()
DEAD = {**HERE, "started": "1"}
ELSEWHERE = {"pid": 1, "started": "1", "host": "another/machine"}


@pytest.fixture(autouse=True)
def open_stage(workspace: WorkspaceFolder, service: ServiceRecord) -> None:
    journal = Journal(journal_path(workspace, "d1"))
    journal.write("check", "started")
    journal.write("check", "finished")
    journal.write("bundle", "started")
    journal.close()


def state_after_refresh(workspace: WorkspaceFolder, runner: dict[str, Any], lease_seconds: float | None) -> str:
    store = workspace.open_store()
    store.update_deployment("d1", runner=runner)
    if lease_seconds is not None:
        store.leases.acquire("svc", "d1", lease_seconds, runner)
    assert refresh_service(workspace, "svc") is not None
    deployment = store.get_deployment("d1")
    assert deployment is not None
    return deployment.state


def test_a_dead_runner_of_this_machine_is_found_at_once(workspace: WorkspaceFolder) -> None:
    assert state_after_refresh(workspace, DEAD, 600) == "interrupted"
    store = workspace.open_store()
    deployment, service = store.get_deployment("d1"), store.get_service("svc")
    assert deployment is not None and deployment.cause is not None and service is not None
    assert (service.state, deployment.cause["at"]) == ("Failed", "bundle")
    assert store.leases.get("svc") is None
    *_, last = read_events(journal_path(workspace, "d1"))
    assert (last.data["state"], last.text) == ("interrupted", "its runner died in the stage bundle")


def test_a_runner_that_holds_its_lease_goes_on(workspace: WorkspaceFolder) -> None:
    assert state_after_refresh(workspace, HERE, 600) == "running"


def test_a_live_process_that_released_the_lease_without_an_end_counts_as_dead(workspace: WorkspaceFolder) -> None:
    assert state_after_refresh(workspace, HERE, None) == "interrupted"


@pytest.mark.parametrize(("seconds", "state"), [(600, "running"), (-1, "interrupted")])
def test_of_another_machine_only_the_lease_tells(workspace: WorkspaceFolder, seconds: float, state: str) -> None:
    assert state_after_refresh(workspace, ELSEWHERE, seconds) == state


def test_only_one_process_records_the_end(workspace: WorkspaceFolder) -> None:
    workspace.open_store().leases.acquire("svc", "recovery-d1-of-another", 600, HERE)
    assert state_after_refresh(workspace, DEAD, None) == "running"


def test_a_service_that_does_not_exist_is_none(workspace: WorkspaceFolder) -> None:
    assert refresh_service(workspace, "other") is None


def test_an_update_that_its_supervisor_completes_blocks_another(
    workspace: WorkspaceFolder, service: ServiceRecord
) -> None:
    store = workspace.open_store()
    store.update_deployment("d1", runner=HERE)
    refuse_unfinished_update(store, service)
    store.update_deployment("d1", runner=DEAD)
    with pytest.raises(DeploymentInProgress) as error:
        refuse_unfinished_update(store, service)
    assert error.value.deployment_id == "d1"


def states(workspace: WorkspaceFolder) -> dict[str, str]:
    return {deployment.id: deployment.state for deployment in workspace.open_store().list_deployments()}


def test_a_deployment_that_no_service_names_ends_and_pins_no_model(workspace: WorkspaceFolder) -> None:
    store = workspace.open_store()
    store.add_deployment(DeploymentRecord("lost", "gone", "local", request={"models": ["m:1"]}, runner=DEAD))
    store.leases.acquire("gone", "lost", 600, DEAD)
    store.add_deployment(DeploymentRecord("beginning", "new", "local", runner=HERE))
    store.leases.acquire("new", "beginning", 600, HERE)
    assert store.services_using("m:1") == ["gone"]
    recover_lost_deployments(workspace)
    assert states(workspace) == {"lost": "interrupted", "beginning": "running", "d1": "interrupted"}
    assert store.services_using("m:1") == []


def test_a_deployment_that_its_service_never_named_releases_its_revision(
    workspace: WorkspaceFolder, service: ServiceRecord
) -> None:
    store = workspace.open_store()
    store.update_deployment("d1", runner=DEAD)
    store.update_service("svc", deployment_id="older")
    recover_lost_deployments(workspace)
    revision = store.get_revision("svc", 1)
    assert revision is not None and revision.outcome == "failed"
    assert [event.data.get("state") for event in read_events(journal_path(workspace, "d1"))][-1] == "interrupted"


@pytest.mark.parametrize(("revision", "state"), [(0, "Failed"), (1, "Live")])
def test_a_service_that_waits_for_no_deployment_is_not_in_transition(
    workspace: WorkspaceFolder, service: ServiceRecord, revision: int, state: str
) -> None:
    store = workspace.open_store()
    store.update_service("svc", deployment_id="", state="Updating", revision=revision)
    store.leases.acquire("svc", "d2", 600, HERE)
    assert refresh_service(workspace, "svc").state == "Updating"  # type: ignore[union-attr]
    store.leases.acquire("svc", "d2", 600, DEAD)
    assert refresh_service(workspace, "svc").state == state  # type: ignore[union-attr]


def test_deleting_a_service_ends_its_deployments(workspace: WorkspaceFolder, service: ServiceRecord) -> None:
    workspace.open_store().remove_service("svc")
    assert states(workspace) == {"d1": "interrupted"}


def test_a_runner_that_a_signal_has_stopped_is_ended_once_it_misses_a_renewal(
    workspace: WorkspaceFolder, stopped: dict[str, Any]
) -> None:
    assert state_after_refresh(workspace, stopped, LEASE_SECONDS) == "running"
    assert state_after_refresh(workspace, stopped, LEASE_SECONDS - RENEWAL_SECONDS - 1.5) == "interrupted"
    wait_until(lambda: process_identity.is_alive(stopped) is False)


def test_a_stopped_process_that_is_no_runner_of_the_deployment_is_left_alone(
    workspace: WorkspaceFolder, stopped: dict[str, Any]
) -> None:
    store = workspace.open_store()
    store.add_deployment(DeploymentRecord("d2", "svc", "local", runner=stopped))
    store.update_service("svc", deployment_id="d2")
    store.leases.acquire("svc", "d2", 1, stopped)
    refresh_service(workspace, "svc")
    assert states(workspace)["d2"] == "interrupted" and process_identity.is_alive(stopped)


class TargetWithoutDeployment:
    """A target whose supervisor has not read the deployment's request."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    def status(self, service: ServiceRecord) -> ServiceStatus:
        return ServiceStatus("Live", revision=7, details={"last_deploy": {"deployment_id": "older", "outcome": "live"}})

    def cancel(self, service: ServiceRecord, deployment_id: str) -> None:
        self.cancelled.append(deployment_id)


def test_an_update_that_has_not_begun_is_revoked(workspace: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    target, store = TargetWithoutDeployment(), workspace.open_store()
    monkeypatch.setattr(recovery, "open_service_target", lambda *_: target)
    store.add_deployment(DeploymentRecord("d2", "svc", "local", operation="update", runner=DEAD))
    store.update_service("svc", deployment_id="d2", revision=1)
    refresh_service(workspace, "svc")
    assert target.cancelled == ["d2"] and states(workspace)["d2"] == "interrupted"


def test_an_update_of_a_stopped_runner_that_has_lost_its_lease_blocks_another(
    workspace: WorkspaceFolder, service: ServiceRecord, stopped: dict[str, Any]
) -> None:
    store = workspace.open_store()
    store.update_deployment("d1", runner=stopped)
    store.leases.acquire("svc", "d1", LEASE_SECONDS, stopped)
    refuse_unfinished_update(store, service)  # the lease itself blocks it, and says why
    store.leases.release("svc", "d1")
    with pytest.raises(DeploymentInProgress):
        refuse_unfinished_update(store, service)


def test_a_deployment_is_found_to_be_dead_by_its_id_too(workspace: WorkspaceFolder) -> None:
    store = workspace.open_store()
    store.update_deployment("d1", runner=DEAD)
    assert (found := refresh_deployment(workspace, "d1")) is not None and found.state == "interrupted"
    assert refresh_deployment(workspace, "d2") is None
    store.add_deployment(DeploymentRecord("d2", "deleted", runner=DEAD))  # of a service that is no more
    assert (found := refresh_deployment(workspace, "d2")) is not None and found.state == "interrupted"
    store.add_deployment(DeploymentRecord("d3", "svc", state="live"))
    assert refresh_deployment(workspace, "d3") == store.get_deployment("d3")
