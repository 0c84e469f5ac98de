"""What a service does now and where it runs, as far as this machine can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import WebserviceException
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.deployment.plan import target_context
from mldeploy_jupyter.targets import ServiceStatus, open_target

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


def query_status(folder: WorkspaceFolder, service: ServiceRecord) -> ServiceStatus:
    """What the target reports now; for a service that runs elsewhere, what the store has."""
    if remote_location(folder, service):
        return ServiceStatus(service.state, service.revision, service.deployment_id)
    return open_target(service.target, target_context(folder)).status(service)


def display_state(service: ServiceRecord, status: ServiceStatus) -> str:
    """Deploying, Updating, Live, Unhealthy, Failed or Stopped."""
    if service.state in ("Deploying", "Updating"):
        return service.state
    if status.state == "Absent":
        return "Failed" if not service.revision else "Unhealthy"
    return status.state


def remote_location(folder: WorkspaceFolder, service: ServiceRecord) -> str:
    """Where a local service runs if not here: another machine, or another folder with the same store. "" if here."""
    host = str(service.endpoint.get("host") or "")
    if host and host != process_identity.host_name():
        return f"the machine {host}"
    if service.target == "local" and service.workspace_id not in ("", folder.id):
        return f"another workspace folder{f' of {host}' if host else ''}"
    return ""


def require_local(folder: WorkspaceFolder, service: ServiceRecord) -> None:
    """Raises `WebserviceException` when the service runs elsewhere: a process cannot be changed through a database."""
    location = remote_location(folder, service)
    if location:
        raise WebserviceException(
            f"{service.name} runs in {location}" if "folder" in location else f"{service.name} runs on {location}",
            why=f"a local service answers, and can be changed, only where it runs; {service.created_by} made it",
            hint="do it there, or deploy it here under another name",
        )
