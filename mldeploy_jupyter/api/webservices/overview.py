"""What lists show of many services, read at once: a few queries for a workspace, whatever the number of services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.api.webservices import details

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices.webservice import Webservice
    from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.targets import ServiceStatus


@dataclass(frozen=True)
class Overview:
    """A service at one moment: `data` is what `serialize()` returns, `shown_state` the state that tables show.

    Both were made from `record`, `live` (the revision that serves, None before the first) and `status`.
    """

    service: Webservice
    data: dict[str, Any]
    shown_state: str
    record: ServiceRecord
    live: RevisionRecord | None
    status: ServiceStatus


def read_overviews(services: Sequence[Webservice]) -> list[Overview]:
    """The overviews of the services, in their order. Those that were deleted meanwhile are left out."""
    workspaces = {id(service.workspace): service.workspace for service in services}
    found: dict[int, dict[str, _Read]] = {}
    for key, workspace in workspaces.items():
        names = {service.name for service in services if service.workspace is workspace}
        found[key] = _read_folder(workspace.folder, names, workspace.name)
    return [
        Overview(service, *read)
        for service in services
        if (read := found[id(service.workspace)].get(service.name)) is not None
    ]


_Read = tuple[dict[str, Any], str, "ServiceRecord", "RevisionRecord | None", "ServiceStatus"]


def _read_folder(folder: WorkspaceFolder, names: set[str], workspace: str) -> dict[str, _Read]:
    store = folder.open_store()
    records = [_refresh(folder, record) for record in store.list_services() if record.name in names]
    revisions = {revision.service: revision for revision in store.list_revisions(outcome="live")}
    statuses = deployment.query_statuses(folder, records)
    found: dict[str, _Read] = {}
    for record in records:
        state = deployment.display_state(record, statuses[record.name])
        live = _live_revision(folder, record, revisions.get(record.name))
        data = details.serialize(record, live, statuses[record.name], workspace=workspace)
        found[record.name] = (data, state, record, live, statuses[record.name])
    return found


def _refresh(folder: WorkspaceFolder, record: ServiceRecord) -> ServiceRecord:
    """The record once the end of a deployment whose runner died was recorded."""
    if record.state not in ("Deploying", "Updating"):
        return record
    return deployment.refresh_service(folder, record.name) or record


def _live_revision(
    folder: WorkspaceFolder, record: ServiceRecord, marked: RevisionRecord | None
) -> RevisionRecord | None:
    """`marked` is the one whose outcome is live; a deployment that ends now may have changed it since."""
    if marked is not None and marked.number == record.revision:
        return marked
    return details.live_revision(folder, record)
