"""A service as data: `serialize`, its revisions, its log lines, and what is said when there is none of a name."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.api.arguments import WorkspaceLike
from mldeploy_jupyter.core.configs import METADATA, DeployConfig
from mldeploy_jupyter.core.errors import ScoringError, UserErrorException, WebserviceException, WebserviceNotFound

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices.webservice import Webservice
    from mldeploy_jupyter.core.records import RevisionRecord, ServiceRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


REVISION_KEYS = ("number", "outcome", "models", "created_time", "bundle_digest", "deployment_id", "rolled_back_to")


def serialize(service: Webservice) -> dict[str, Any]:
    """See `Webservice.serialize`."""
    record, live = service.record, service.live_revision()
    return {
        "name": record.name,
        "description": record.description,
        "tags": record.tags,
        "properties": record.properties,
        "state": service.state,
        "createdTime": record.created_time,
        "updatedTime": record.updated_time,
        "error": record.error,
        "computeType": record.compute_type,
        "workspaceName": service.workspace.name,
        "authEnabled": record.auth_enabled,
        "tokenAuthEnabled": live is not None and live.deploy_config.get("passed", {}).get("token_auth_enabled") is True,
        "scoringUri": record.endpoint.get("scoring_uri"),
        "swaggerUri": record.endpoint.get("swagger_uri"),
        "port": record.endpoint.get("port"),
        "createdBy": record.created_by,
        "revision": record.revision,
        "models": live.models if live else [],
        "bundleDigest": live.bundle_digest if live else None,
        "environment": live.environment if live else None,
        "settings": _settings(live),
        "deploymentId": record.deployment_id,
    }


def _settings(live: RevisionRecord | None) -> dict[str, Any] | None:
    """The target's settings of the live revision, with its defaults; nothing that is secret or said elsewhere."""
    if live is None:
        return None
    config = DeployConfig.from_dict(live.deploy_config)
    left_out = {*METADATA, "environment_variables", "port", "auth_enabled", "token_auth_enabled"}
    left_out |= {field.name for field in config.spec.fields if field.secret}
    return {name: value for name, value in config.resolved().items() if name not in left_out}


def name_in(payload: Any) -> str:
    """The name in what `serialize()` gave. Raises `UserErrorException`."""
    name = payload.get("name") if isinstance(payload, dict) else None
    if not isinstance(name, str):
        raise UserErrorException(
            "the payload does not describe a service",
            why="it is not a dict with a name",
            hint="pass what service.serialize() gave, or call Webservice(ws, name)",
        )
    return name


def revisions(workspace: WorkspaceLike, name: str) -> list[dict[str, Any]]:
    """Every revision of the service, newest first."""
    found = workspace.folder.open_store().list_revisions(name)
    ordered = sorted(found, key=lambda revision: -revision.number)
    return [{key: revision.to_dict()[key] for key in REVISION_KEYS} for revision in ordered]


def log_line(line: Any) -> str:
    """An entry of the log, each of its lines with its time and source, where it has them."""
    if not line.time:
        return str(line.text)
    return "\n".join(f"{line.time} [{line.source}] {text}" for text in line.text.split("\n"))


def explain_silence(folder: WorkspaceFolder, record: ServiceRecord, error: ScoringError) -> None:
    """Puts into the error of a request why the service itself did not answer it, and the command that helps."""
    status, name = deployment.query_status(folder, record), record.name
    if status.state == "Stopped" or (status.failure or {}).get("code") == "supervisor-lost":
        error.what = f"{name} does not run"
        error.why = "it was stopped" if status.state == "Stopped" else "its supervisor process is gone"
        error.why += "; another program answered on its port" if error.status_code is not None else ""
        error.hint = f"start it with `mldeploy service start {name}`"
    elif error.status_code is None:
        broke = any(word in error.why for word in ("aborted", "reset", "Disconnected", "Broken pipe"))
        end = _end_of_worker(folder, record, status) if broke else None
        if end is not None:
            from mldeploy_jupyter.core.diagnosis import explain

            cause = explain(end, settings={"service": name, "updating": True})
            error.why, error.hint = f"{cause.what}: {cause.why}", cause.hint
            return
        see = f"`mldeploy service show {name}` and its log with `mldeploy service get-logs {name}`"
        error.hint = f"see its state with {see}"


def _end_of_worker(folder: WorkspaceFolder, record: ServiceRecord, status: Any) -> dict[str, Any] | None:
    """Why a worker died a moment ago; its end is written down a little after its connections broke."""
    for _ in range(20):
        end = status.details.get("last_exit")
        if end and datetime.now(UTC) - datetime.fromisoformat(end["time"]) < timedelta(seconds=5):
            return dict(end)
        time.sleep(0.05)
        status = deployment.query_status(folder, record)
    return None


def look(workspace: WorkspaceLike, name: str) -> ServiceRecord | None:
    """The service's record as it is now; None when there is none. Makes no workspace."""
    folder = workspace.find_folder()
    return deployment.refresh_service(folder, name) if folder else None


def not_found(workspace: WorkspaceLike, name: str) -> WebserviceException:
    """The error for a name that no service has; suggests the nearest one."""
    import difflib

    folder = workspace.find_folder()
    names = [record.name for record in folder.open_store().list_services()] if folder else []
    near = difflib.get_close_matches(str(name), names, n=1)
    return WebserviceNotFound(
        f"there is no service {name!r} in the workspace {workspace.name}",
        why=f"its services are: {', '.join(sorted(names)) or 'none'}",
        hint=f"did you mean {near[0]!r}?" if near else "see every workspace's with `mldeploy service list --all`",
    )


def explain(folder: WorkspaceFolder, service: ServiceRecord, error: ScoringError) -> None:
    """Puts what the script raised, and the line of the cell, into an error that answers 500.

    An answer never carries them, for it goes to clients; the log of a service on this machine is its owner's.
    """
    if error.status_code != 500 or not error.request_id or deployment.remote_location(folder, service):
        return
    raised, where = deployment.find_request_error(folder, service, error.request_id)
    if raised:
        error.why, error.where = raised, where
        if raised.startswith(("JSONDecodeError", "json.JSONDecodeError", "orjson.JSONDecodeError")):
            error.hint = f"is the input JSON? Correct it; or correct the line and update {service.name}"
            return
        error.hint = f"correct the line and update {service.name}; the log has the traceback at {error.request_id}"
