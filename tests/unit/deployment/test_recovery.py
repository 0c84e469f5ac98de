"""A deployment whose runner died is found when its service is read, and its end is recorded."""

from __future__ import annotations

from typing import Any

import pytest

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import DeploymentInProgress
from mldeploy_jupyter.core.journal.journal import Journal, read_events
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.deployment.files import journal_path
from mldeploy_jupyter.deployment.recovery import refresh_service, refuse_unfinished_update

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
