"""What is done to a service that is there: stop, start, restart, new keys, logs, cancel, delete."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core import keys
from mldeploy_jupyter.core.errors import WebserviceException, WebserviceNotFound
from mldeploy_jupyter.core.records import ServiceRecord, utc_now
from mldeploy_jupyter.deployment.diagnose import LOG_WAIT, _raised_at
from mldeploy_jupyter.deployment.files import CANCEL_FILE
from mldeploy_jupyter.deployment.lease import Heartbeat, take
from mldeploy_jupyter.deployment.plan import target_context
from mldeploy_jupyter.deployment.recovery import refresh_service, require_local
from mldeploy_jupyter.targets import Action, LogLine, TargetFailure, open_target

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


CANCEL_DEADLINE = 30.0  # seconds for a cancelled deployment to end


@dataclass(frozen=True)
class Token:
    """A token and when to ask for the next one, and when it ends (Unix seconds). `repr` does not show it."""

    text: str
    refresh_after: float
    ends: float

    def __repr__(self) -> str:
        return f"Token(********, refresh_after={self.refresh_after!r}, ends={self.ends!r})"


def cancel_deployment(folder: WorkspaceFolder, name: str) -> bool:
    """Leaves the durable mark that the runner obeys. False when no deployment of the service is under way."""
    service = _service(folder, name)
    deployment = folder.open_store().get_deployment(service.deployment_id)
    if deployment is None or deployment.state != "running":
        return False
    folder.open_store().update_deployment(deployment.id, cancel=True)
    place = folder.deployments / deployment.id
    if place.exists():  # else its runner is on another machine, and sees the mark in the store
        (place / CANCEL_FILE).touch(mode=0o600)
    return True


def control_service(folder: WorkspaceFolder, name: str, action: Action) -> ServiceRecord:
    """Stops, starts or restarts a service, or makes it read its keys again.

    Raises:
        DeploymentInProgress: a deployment of the service is under way.
        DeploymentFailed: it could not be started.
    """
    service = _service(folder, name)
    require_local(folder, service)
    if action in ("start", "restart") and not service.revision:
        raise WebserviceException(
            f"{name} has never been live",
            why="it has no revision that could be started",
            hint="correct what its deployment failed with, then deploy it again",
        )
    store = folder.open_store()
    target = open_target(service.target, target_context(folder))
    with _held(folder, name):
        try:
            target.control(service, action, _silent)
        except TargetFailure as failure:
            from mldeploy_jupyter.core.diagnosis import explain

            cause = explain(failure.failure, script=None, settings={}, models=[])
            raise cause.to_error(name, service.deployment_id) from None
        status = target.status(service)
        changes: dict[str, Any] = {"state": status.state}
        if status.endpoint is not None:
            changes["endpoint"] = {
                **service.endpoint,
                "scoring_uri": status.endpoint.scoring_uri,
                "swagger_uri": status.endpoint.swagger_uri,
                **status.endpoint.details,
            }
        return store.update_service(name, updated_time=utc_now(), **changes)


def delete_service(folder: WorkspaceFolder, name: str, *, wait: Callable[[float], Any] = time.sleep) -> None:
    """Removes the service and proves that nothing of it is left. A deployment under way is cancelled first.

    Raises:
        DeploymentInProgress: the deployment did not end within half a minute after it was cancelled.
    """
    service = _service(folder, name)
    require_local(folder, service)
    target = open_target(service.target, target_context(folder))
    if cancel_deployment(folder, name):
        end = time.monotonic() + CANCEL_DEADLINE
        while time.monotonic() < end and _is_deploying(folder, name):
            wait(0.05)
    with _held(folder, name):
        target.delete(service, _silent)
        folder.open_store().remove_service(name)


def get_keys(folder: WorkspaceFolder, name: str) -> keys.ServiceKeys:
    """Raises `WebserviceException` where the service asks for tokens, as in v1."""
    service = _service(folder, name)
    require_local(folder, service)
    if uses_token_auth(folder, service):
        raise WebserviceException(
            f"{name} has no keys in use",
            why="it asks for tokens (token_auth_enabled)",
            hint="call get_access_token(); the header is the same: Authorization: Bearer <token>",
        )
    return keys.ensure_keys(folder.services / service.name / "keys.json")


def get_token(folder: WorkspaceFolder, name: str, *, now: Callable[[], float] = time.time) -> Token:
    """A new token of a service that asks for tokens. Nothing is kept of it: the service knows it by its signature.

    Raises:
        WebserviceException: the live revision does not ask for tokens.
    """
    from mldeploy_jupyter.serving import tokens

    service = _service(folder, name)
    require_local(folder, service)
    if not uses_token_auth(folder, service):
        raise WebserviceException(
            f"{name} gives no tokens",
            why="it is opened with keys" if service.auth_enabled else "it is open: it asks for neither key nor token",
            hint="call get_keys(), or turn tokens on with update(token_auth_enabled=True)",
        )
    secret = keys.ensure_keys(folder.services / service.name / "keys.json").token_secret
    made = now()
    return Token(tokens.sign(secret, name, made), made + tokens.REFRESH_AFTER, made + tokens.LIFETIME)


def uses_token_auth(folder: WorkspaceFolder, service: ServiceRecord) -> bool:
    """Whether the live revision asks for tokens; False before there is one."""
    live = folder.open_store().get_revision(service.name, service.revision) if service.revision else None
    return live is not None and live.deploy_config.get("passed", {}).get("token_auth_enabled") is True


def regenerate_key(folder: WorkspaceFolder, name: str, which: str, value: str | None = None) -> keys.ServiceKeys:
    """Replaces one key, in the service too, without a restart. The other key goes on opening the service."""
    service = _service(folder, name)
    require_local(folder, service)
    target = open_target(service.target, target_context(folder))
    made = keys.replace_key(folder.services / service.name / "keys.json", which, value)
    target.control(service, "regen_keys", _silent)
    return made


def read_logs(folder: WorkspaceFolder, name: str, *, tail: int | None, follow: bool = False) -> Iterator[LogLine]:
    service = _service(folder, name)
    require_local(folder, service)
    return open_target(service.target, target_context(folder)).logs(service, tail=tail, follow=follow)


def _service(folder: WorkspaceFolder, name: str) -> ServiceRecord:
    service = refresh_service(folder, name)
    if service is None:
        raise WebserviceNotFound(
            f"there is no service {name}",
            why="none of that name is in this workspace",
            hint="see what there is with `mldeploy service list`",
        )
    return service


def _is_deploying(folder: WorkspaceFolder, name: str) -> bool:
    service = refresh_service(folder, name)
    deployment = folder.open_store().get_deployment(service.deployment_id) if service else None
    return deployment is not None and deployment.state == "running"


def _held(folder: WorkspaceFolder, name: str) -> Heartbeat:
    """The service's lease for a short operation."""
    holder = f"control-{os.getpid()}-{os.urandom(3).hex()}"
    store = folder.open_store()
    take(store, name, holder)
    return Heartbeat(store, name, holder)


def _silent(stage: str, kind: str, text: str = "", **data: Any) -> None:
    pass


def find_request_error(folder: WorkspaceFolder, service: ServiceRecord, request_id: str) -> tuple[str, str]:
    """What the script raised at a request, and the line of the cell, from the log of a service on this machine.

    Two empty strings when the log does not say.
    """
    from mldeploy_jupyter.core.bundle import builder
    from mldeploy_jupyter.core.script import notebook_cells
    from mldeploy_jupyter.deployment.plan import target_context
    from mldeploy_jupyter.targets import open_target

    revision = folder.open_store().get_revision(service.name, service.revision)
    if not request_id or revision is None or not revision.bundle_digest:
        return "", ""
    target = open_target(service.target, target_context(folder))
    deadline = time.monotonic() + LOG_WAIT
    while True:
        raised, traceback, answered = _raised_at(request_id, target.logs(service, tail=5000, follow=False))
        if raised or answered or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    made = builder.load(folder.bundles / revision.bundle_digest)
    path = made.app / made.entry_script
    frames = re.findall(r'File "([^"]+)", line (\d+)', "\n".join(traceback))
    own = [int(line) for file, line in frames if file == str(path)]
    if not raised or not own:
        return raised, ""
    content = path.read_bytes()
    cell = notebook_cells.find(folder.cells, notebook_cells.script_digest(content))
    if cell is None:
        return raised, f"{path.name} line {own[-1]}"
    return raised, notebook_cells.where(cell, own[-1], newest=notebook_cells.newest_version(folder.cells, cell.file))
