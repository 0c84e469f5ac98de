"""Where a service runs, and the state that users see."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import WebserviceException
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
from mldeploy_jupyter.deployment.services.status import display_state, query_status, remote_location, require_local
from mldeploy_jupyter.targets import ServiceStatus


def test_a_service_of_this_folder_is_local(workspace: WorkspaceFolder, service: ServiceRecord) -> None:
    here = replace(service, endpoint={"host": process_identity.host_name()})
    assert remote_location(workspace, here) == ""
    require_local(workspace, here)


@pytest.mark.parametrize(
    ("changes", "location"),
    [
        ({"endpoint": {"host": "teammate"}}, "runs on the machine teammate"),
        ({"workspace_id": "another"}, "runs in another workspace folder"),
    ],
)
def test_a_service_elsewhere_is_refused_and_has_the_state_of_the_store(
    workspace: WorkspaceFolder, service: ServiceRecord, changes: dict[str, object], location: str
) -> None:
    remote = replace(service, state="Live", revision=3, **changes)  # type: ignore[arg-type]
    with pytest.raises(WebserviceException, match=location):
        require_local(workspace, remote)
    assert query_status(workspace, remote) == ServiceStatus("Live", 3, "d1")


@pytest.mark.parametrize(
    ("recorded", "revision", "reported", "shown"),
    [
        ("Deploying", 0, "Absent", "Deploying"),
        ("Updating", 1, "Live", "Updating"),
        ("Live", 1, "Unhealthy", "Unhealthy"),
        ("Failed", 0, "Absent", "Failed"),
        ("Live", 1, "Absent", "Unhealthy"),
    ],
)
def test_the_displayed_state(recorded: str, revision: int, reported: str, shown: str) -> None:
    service = ServiceRecord("svc", "local", "Local", state=recorded, revision=revision)
    assert display_state(service, ServiceStatus(reported)) == shown
