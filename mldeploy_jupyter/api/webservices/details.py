"""A service as data: its record, `serialize`, its revisions, and the error for a missing one."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.api.arguments import WorkspaceLike
from mldeploy_jupyter.core.configs import METADATA, DeployConfig, passed_settings
from mldeploy_jupyter.core.errors import UserErrorException, WebserviceNotFound

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.targets import ServiceStatus

# The states that tables show, and v1's words for them; v1 had none for a stopped service.
STATES = {
    "Deploying": "Transitioning",
    "Updating": "Transitioning",
    "Live": "Healthy",
    "Unhealthy": "Unhealthy",
    "Failed": "Failed",
    "Cancelled": "Failed",
    "Stopped": "Stopped",
}

REVISION_KEYS = ("number", "outcome", "models", "created_time", "bundle_digest", "deployment_id", "rolled_back_to")


def find_record(workspace: WorkspaceLike, name: str) -> ServiceRecord | None:
    """The service's record as it is now, or None. Ends the deployment of a dead runner; creates no workspace."""
    folder = workspace.find_folder()
    return deployment.refresh_service(folder, name, print_note) if folder else None


def print_note(text: str) -> None:
    """Tells the user something besides the result."""
    print(text, file=sys.stderr)  # standard output may be read as JSON


def require_record(workspace: WorkspaceLike, name: str) -> ServiceRecord:
    """As `find_record`. Raises `WebserviceNotFound`, which suggests the nearest name, when there is no service."""
    record = find_record(workspace, name)
    if record is not None:
        return record
    import difflib

    folder = workspace.find_folder()
    names = folder.open_store().list_service_names() if folder else []
    near = difflib.get_close_matches(str(name), names, n=1)
    raise WebserviceNotFound(
        f"there is no service {name!r} in the workspace {workspace.name}",
        why=f"its services are: {', '.join(sorted(names))}" if names else "it has no services",
        hint=f"did you mean {near[0]!r}?" if near else "see every workspace's with `mldeploy service list --all`",
    )


def find_error(record: ServiceRecord, status: ServiceStatus) -> dict[str, Any] | None:
    """Why the service is unhealthy, else why the last deployment failed; None without both, and during another."""
    state = deployment.display_state(record, status)
    if state in ("Deploying", "Updating"):
        return None
    if state != "Unhealthy" or not status.failure:
        return record.error
    from mldeploy_jupyter.core.diagnosis import explain

    return explain(status.failure, settings={"service": record.name, "updating": True}).to_dict()


def serialize(
    record: ServiceRecord, live: RevisionRecord | None, status: ServiceStatus, *, workspace: str
) -> dict[str, Any]:
    """The service as JSON data with v1's keys; `live` is its live revision, `workspace` the name of its workspace."""
    passed = passed_settings(live.deploy_config) if live else {}
    return {
        "name": record.name,
        "description": record.description,
        "tags": record.tags,
        "properties": record.properties,
        "state": STATES[deployment.display_state(record, status)],
        "createdTime": record.created_time,
        "updatedTime": record.updated_time,
        "error": find_error(record, status),
        "computeType": record.compute_type,
        **({"engine": "docker"} if record.target == "docker" else {}),
        "workspaceName": workspace,
        "authEnabled": record.auth_enabled,
        "tokenAuthEnabled": passed.get("token_auth_enabled") is True,
        "scoringUri": record.endpoint.get("scoring_uri"),
        "swaggerUri": record.endpoint.get("swagger_uri"),
        "port": record.endpoint.get("port"),
        "createdBy": record.created_by,
        "revision": record.revision,
        "models": live.models if live else [],
        "bundleDigest": live.bundle_digest if live else None,
        **(
            {"image": live.image, "imageId": live.image_id, "imageDigest": live.image_digest or None}
            if live and live.image_id
            else {}
        ),
        "environment": _environment(live) if live else None,
        "settings": _settings(live) if live else None,
        "deploymentId": record.deployment_id,
    }


def _environment(live: RevisionRecord) -> dict[str, Any]:
    """The environment without the record of imported files, by which a deployment finds that nothing has changed."""
    return {name: value for name, value in live.environment.items() if name != "imported"}


def _settings(live: RevisionRecord) -> dict[str, Any]:
    """The target's settings with their defaults, without secrets and without what has a key of its own."""
    config = DeployConfig.from_dict(live.deploy_config)
    omitted = {*METADATA, "environment_variables", "sample_headers", "port", "auth_enabled", "token_auth_enabled"}
    omitted |= {field.name for field in config.spec.fields if field.secret}
    return {name: value for name, value in config.resolve().items() if name not in omitted}


def name_in_payload(payload: Any) -> str:
    """The service's name in what `serialize` returned. Raises `UserErrorException` when it has none."""
    name = payload.get("name") if isinstance(payload, dict) else None
    if not isinstance(name, str):
        raise UserErrorException(
            "the payload does not describe a service",
            why="it is not a dict with a name",
            hint="pass what service.serialize() gave, or call Webservice(ws, name)",
        )
    return name


def live_revision(folder: WorkspaceFolder, record: ServiceRecord) -> RevisionRecord | None:
    """The revision that serves; None before the first is live."""
    return folder.open_store().get_revision(record.name, record.revision) if record.revision else None


class Revisions(list[dict[str, Any]]):
    """A list of revisions as data. A notebook shows it as a table; `serving` is the number of the one that serves."""

    def __init__(self, revisions: Iterable[dict[str, Any]], serving: int) -> None:
        super().__init__(revisions)
        self.serving = serving

    def __repr__(self) -> str:
        return repr([{**revision, "bundle_digest": revision["bundle_digest"][:8]} for revision in self])

    def describe_outcome(self, revision: dict[str, Any]) -> str:
        """Such as `serves (revision 1 again)`. `service rollback` can go back to those that are `kept`."""
        outcome = "serves" if revision["number"] == self.serving else str(revision["outcome"])
        return f"{outcome} (revision {revision['rolled_back_to']} again)" if revision["rolled_back_to"] else outcome

    @property
    def kept(self) -> list[int]:
        """The numbers of the revisions that `service.rollback` can go back to, oldest first."""
        return sorted(revision["number"] for revision in self if revision["outcome"] == "kept")


def list_revisions(folder: WorkspaceFolder, service: ServiceRecord) -> Revisions:
    """Every revision of the service as data (`REVISION_KEYS`), newest first."""
    revisions = sorted(folder.open_store().list_revisions(service.name), key=lambda revision: -revision.number)
    data = [{key: revision.to_dict()[key] for key in REVISION_KEYS} for revision in revisions]
    return Revisions(data, service.revision)


def count_requests(metrics: str) -> int | None:
    """How many requests the metrics of a service say that it has answered; None when they do not say it."""
    counts = re.findall(r"^mldeploy_requests_total\{.*\} (\d+)$", metrics, re.MULTILINE)
    return sum(int(count) for count in counts) if "mldeploy_requests_total" in metrics else None
