"""The rows of lists: services and models as the protocol's `ServiceSummary` and `ModelSummary`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.core.journal.wording import target_title
from mldeploy_jupyter.panel.services.capabilities import allowed_orders

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import DeploymentRecord, ModelRecord, RevisionRecord, ServiceRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

Row = dict[str, Any]


def describe_service(
    folder: WorkspaceFolder,
    record: ServiceRecord,
    live: RevisionRecord | None,
    deployments: Mapping[str, DeploymentRecord],
    state: str,
    *,
    note: str = "",
    kept: bool = False,
) -> Row:
    """A service as a row. `state` is as `deployment.display_state` has it; `deployments` those that the row names."""
    began = deployments.get(live.deployment_id) if live is not None else None
    last = deployments.get(record.deployment_id)
    token = live is not None and live.deploy_config.get("passed", {}).get("token_auth_enabled") is True
    auth = "token" if token else "key" if record.auth_enabled else "none"
    shown = state.lower()
    return {
        "service": record.name,
        "workspace": folder.id,
        "state": shown,
        "note": note,
        "target": record.target,
        "targetTitle": target_title(record.target),
        "revision": record.revision,
        "models": list(live.models) if live is not None else [],
        "tags": {str(key): str(value) for key, value in record.tags.items()},
        "scoringUri": str(record.endpoint.get("scoring_uri") or ""),
        "since": began.finished_time if began is not None else "",
        "deployment": record.deployment_id,
        "deploying": last is not None and last.state == "running",
        "can": allowed_orders(folder, record, shown, auth=auth, kept=kept),
    }


def describe_models(workspace: str, models: Iterable[ModelRecord], used_by: Mapping[str, list[str]]) -> dict[str, Row]:
    """The models as rows by name, each with its versions, newest first. `used_by` has the services by a model's id."""
    versions: dict[str, list[Row]] = {}
    for record in sorted(models, key=lambda record: (record.name, -record.version)):
        versions.setdefault(record.name, []).append(_describe_version(record, used_by.get(record.id, [])))
    return {name: {"model": name, "workspace": workspace, "versions": found} for name, found in versions.items()}


def _describe_version(record: ModelRecord, used_by: list[str]) -> Row:
    framework = f"{record.model_framework or ''} {record.model_framework_version or ''}".strip()
    return {
        "id": record.id,
        "version": record.version,
        "created": record.created_time,
        "framework": framework,
        "bytes": record.size if record.files else None,
        "description": record.description or "",
        "tags": {str(key): str(value) for key, value in record.tags.items()},
        "usedBy": sorted(used_by),
    }


def find_users(services: Iterable[ServiceRecord], live: Mapping[str, RevisionRecord]) -> dict[str, list[str]]:
    """The services whose serving revision has a model, by the model's id."""
    found: dict[str, list[str]] = {}
    for record in services:
        revision = live.get(record.name)
        for model in set(revision.models) if revision is not None and revision.number == record.revision else ():
            found.setdefault(model, []).append(record.name)
    return found


def glance_state(record: ServiceRecord, state: str) -> str:
    """The state that is shown for a service of this machine whose glance says `state`."""
    if state == "Live" and not record.revision:
        state = "Failed"  # its supervisor runs, and nothing serves
    return deployment.display_state(record, deployment.ServiceStatus(state, record.revision))
