"""Operations on a service that exists: cancel its deployment, control and delete it, its keys, tokens and logs."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core import keys, process_identity
from mldeploy_jupyter.core.configs import passed_settings
from mldeploy_jupyter.core.errors import MldeployError, StorageError, WebserviceException, WebserviceNotFound
from mldeploy_jupyter.core.records import ServiceRecord, utc_now
from mldeploy_jupyter.deployment import working_folder
from mldeploy_jupyter.deployment.files import cancel_path
from mldeploy_jupyter.deployment.lease import Heartbeat, acquire_lease, has_live_holder
from mldeploy_jupyter.deployment.plan import open_service_target
from mldeploy_jupyter.deployment.recovery import refresh_service
from mldeploy_jupyter.deployment.services.log import open_numbered_log
from mldeploy_jupyter.deployment.services.status import require_local
from mldeploy_jupyter.targets import Action, LogLine, NumberedLog, TargetFailure

if TYPE_CHECKING:
    from pathlib import Path

    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


CANCEL_SECONDS = 30.0  # allowed for a cancelled deployment to end before its service is deleted


@dataclass(frozen=True)
class Token:
    """An access token. `refresh_after` and `ends` are Unix seconds. Its `repr` hides the text."""

    text: str
    refresh_after: float
    ends: float

    def __repr__(self) -> str:
        return f"Token(********, refresh_after={self.refresh_after!r}, ends={self.ends!r})"


def cancel_deployment(folder: WorkspaceFolder, name: str, deployment_id: str = "") -> bool:
    """Tells the runner of the service's deployment to stop. False when no deployment is under way.

    With a `deployment_id` only that one is cancelled, and no other that was begun since.
    Where the runner has died and the target completes an update by itself, the target is told.

    Raises:
        WebserviceNotFound: there is no such service.
    """
    service = _find_service(folder, name)
    deployment = folder.open_store().get_deployment(service.deployment_id)
    if deployment is None or deployment.state != "running" or deployment_id not in ("", deployment.id):
        return False
    # A runner on another machine reads this from the store, with its lease; one on this machine sees the file sooner.
    with suppress(StorageError):  # a full disk: the file needs no space
        folder.open_store().update_deployment(deployment.id, cancel=True)
    path = cancel_path(folder, deployment.id)
    with suppress(OSError):  # its folder is gone or damaged: the store has it
        path.touch(mode=0o600)
    if process_identity.is_alive(deployment.runner) is False:
        with suppress(TargetFailure):  # what does not answer is found by the look at its status
            moving = replace(service, target=deployment.target or service.target)
            open_service_target(folder, moving).cancel(moving, deployment.id)
        refresh_service(folder, name)
    return True


def wait_for_end(
    folder: WorkspaceFolder, name: str, seconds: float, *, wait: Callable[[float], Any] = time.sleep
) -> bool:
    """Waits until no deployment of the service is under way, at most `seconds`; returns whether that is so.

    `wait` sleeps for seconds.
    """
    end = time.monotonic() + seconds
    while _is_deploying(folder, name):
        if time.monotonic() >= end:
            return False
        wait(0.05)
    return True


def control_service(
    folder: WorkspaceFolder, name: str, action: Action, tell: Callable[[str], Any] = lambda text: None
) -> ServiceRecord:
    """Stops, starts or restarts a service, or makes it read its keys again. `tell` gets what the owner should know.

    Raises:
        WebserviceNotFound: there is no such service.
        WebserviceException: it runs elsewhere, or has no revision to start.
        DeploymentInProgress: a deployment of the service is under way.
        DeploymentFailed: it could not be started.
    """
    service = _find_service(folder, name)
    require_local(folder, service)
    if action in ("start", "restart") and not service.revision:
        raise WebserviceException(
            f"{name} has never been live",
            why="it has no revision that could be started",
            hint="correct what made its deployment fail, then deploy it again",
        )
    store = folder.open_store()
    target = open_service_target(folder, service)
    with _hold_lease(folder, name, required=action != "stop"):
        revision = store.get_revision(name, service.revision) if action == "start" else None
        if revision is not None:
            working_folder.restore_missing(folder, working_folder.follow_move(folder, revision))
        try:
            target.control(service, action, lambda stage, kind, text="", **data: tell(text))
        except TargetFailure as failure:
            raise _explain_failure(service, failure.failure) from None
        status = target.status(service)
        changes: dict[str, Any] = {"state": status.state}
        if status.endpoint is not None:
            changes["endpoint"] = {**service.endpoint, **status.endpoint.to_dict()}
        try:
            return store.update_service(name, updated_time=utc_now(), **changes)
        except StorageError:
            if action != "stop":
                raise
            return replace(service, **changes)  # whether it runs is asked of the process, not of this record


def delete_service(folder: WorkspaceFolder, name: str, *, wait: Callable[[float], Any] = time.sleep) -> None:
    """Removes the service and everything that belongs to it. A deployment under way is cancelled first.

    `wait` sleeps for seconds.

    Raises:
        WebserviceNotFound: there is no such service.
        WebserviceException: it runs elsewhere, or its files could not be removed.
        DeploymentInProgress: the deployment did not end within 30 seconds after it was cancelled.
    """
    service = _find_service(folder, name)
    require_local(folder, service)
    target = open_service_target(folder, service)
    if cancel_deployment(folder, name):
        wait_for_end(folder, name, CANCEL_SECONDS, wait=wait)
    with _hold_lease(folder, name, required=False):
        target.delete(service, _discard_event)
        store = folder.open_store()
        try:
            store.remove_service(name)
        except StorageError:
            if not _make_room(folder, name):
                raise
            store.remove_service(name)


def get_keys(folder: WorkspaceFolder, name: str) -> keys.ServiceKeys:
    """The service's keys. Raises `WebserviceException` when it uses tokens instead, as in v1, or runs elsewhere."""
    service = _find_service(folder, name)
    require_local(folder, service)
    if uses_token_auth(folder, service):
        raise WebserviceException(
            f"{name} has no keys in use",
            why="it asks for tokens (token_auth_enabled)",
            hint="call get_access_token(); the header is the same: Authorization: Bearer <token>",
        )
    return _ensure_keys(folder, service)


def regenerate_key(folder: WorkspaceFolder, name: str, which: str, value: str | None = None) -> keys.ServiceKeys:
    """Replaces one key, also in the running service, without a restart. The other key stays valid.

    `which` and `value` are as in `core.keys.replace_key`.

    Raises:
        WebserviceException: the service runs elsewhere.
        DeploymentFailed: its supervisor does not answer; the key was not replaced.
    """
    service = _find_service(folder, name)
    require_local(folder, service)
    target = open_service_target(folder, service)
    failure = target.status(service).failure or {}
    if failure.get("code") == "supervisor-silent":
        raise _explain_failure(service, failure)
    replaced = keys.replace_key(_keys_path(folder, service), which, value)
    _pass_keys(folder, service)
    return replaced


def get_token(folder: WorkspaceFolder, name: str, *, now: Callable[[], float] = time.time) -> Token:
    """A new token. It is not stored: the service verifies its signature. `now` returns Unix seconds.

    Raises:
        WebserviceException: the live revision does not use tokens, or the service runs elsewhere.
    """
    from mldeploy_jupyter.serving import tokens

    service = _find_service(folder, name)
    require_local(folder, service)
    if not uses_token_auth(folder, service):
        raise WebserviceException(
            f"{name} issues no tokens",
            why="it uses keys" if service.auth_enabled else "it requires neither key nor token",
            hint=f"see its keys with `mldeploy service get-keys {name}` or get_keys(); turn tokens on with "
            f"`mldeploy service update {name} --token-auth-enabled true` or update(token_auth_enabled=True)",
        )
    secret = _ensure_keys(folder, service).token_secret
    issued = now()
    return Token(tokens.sign(secret, name, issued), issued + tokens.REFRESH_AFTER, issued + tokens.LIFETIME)


def uses_token_auth(folder: WorkspaceFolder, service: ServiceRecord) -> bool:
    """Whether the live revision requires tokens; False before there is one."""
    live = folder.open_store().get_revision(service.name, service.revision) if service.revision else None
    return live is not None and passed_settings(live.deploy_config).get("token_auth_enabled") is True


def read_logs(folder: WorkspaceFolder, name: str, *, tail: int | None, follow: bool = False) -> Iterator[LogLine]:
    """The last `tail` entries of the service's log (None: all), then with `follow` the new ones as they come.

    Raises:
        WebserviceNotFound: there is no such service.
        WebserviceException: it runs elsewhere.
    """
    service = _find_service(folder, name)
    require_local(folder, service)
    return open_service_target(folder, service).logs(service, tail=tail, follow=follow)


def open_log(folder: WorkspaceFolder, name: str) -> NumberedLog:
    """The service's log with numbered lines. Raises as `read_logs`."""
    service = _find_service(folder, name)
    require_local(folder, service)
    return open_numbered_log(folder, service)


def _explain_failure(service: ServiceRecord, failure: dict[str, Any]) -> MldeployError:
    from mldeploy_jupyter.core.diagnosis import explain

    cause = explain(failure, script=None, settings={"service": service.name}, models=[])
    return cause.to_error(service.name, service.deployment_id)


def _ensure_keys(folder: WorkspaceFolder, service: ServiceRecord) -> keys.ServiceKeys:
    """The keys in the service's file, which the running service has too when this returns."""
    path = _keys_path(folder, service)
    found = keys.ensure_keys(path)
    if not keys.are_confirmed(path):  # the process that wrote them was killed before the service had them
        _pass_keys(folder, service)
    return found


def _keys_path(folder: WorkspaceFolder, service: ServiceRecord) -> Path:
    path = folder.services / service.name / "keys.json"
    if not path.parent.is_dir():
        raise WebserviceException(
            f"{service.name} has no keys",
            why=f"it is being deleted, or its folder was removed: {path.parent}",
            hint=f"deploy it again, or delete it with `mldeploy service delete -n {service.name}`",
        )
    return path


def _pass_keys(folder: WorkspaceFolder, service: ServiceRecord) -> None:
    try:
        open_service_target(folder, service).control(service, "regen_keys", _discard_event)
    except TargetFailure as silent:
        raise _explain_failure(service, silent.failure) from None


def _find_service(folder: WorkspaceFolder, name: str) -> ServiceRecord:
    service = refresh_service(folder, name)
    if service is None:
        raise WebserviceNotFound(
            f"there is no service {name}",
            why="none of that name is in this workspace",
            hint="see what there is with `mldeploy service list`",
        )
    return service


def _make_room(folder: WorkspaceFolder, name: str) -> bool:
    """Removes the files that only a service whose folder is gone needed: its bundles, and its deployments' files.

    For a full disk on which not even its row can be removed. False when there are none.
    """
    store = folder.open_store()
    deployments = [record.id for record in store.list_deployments(name)]
    paths = [path for id in deployments if os.path.lexists(path := folder.deployments / id)]
    running = {record.service for record in store.list_deployments(state="running")}
    if running <= {name}:  # another deployment may be about to use one of the bundles
        revisions = store.list_revisions()
        others = {revision.bundle_digest for revision in revisions if revision.service != name}
        own = {revision.bundle_digest for revision in revisions if revision.service == name} - others - {""}
        paths += [path for digest in sorted(own) if os.path.lexists(path := folder.bundles / digest)]
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)
    return bool(paths)


def _is_deploying(folder: WorkspaceFolder, name: str) -> bool:
    service = refresh_service(folder, name)
    deployment = folder.open_store().get_deployment(service.deployment_id) if service else None
    return deployment is not None and deployment.state == "running"


@contextmanager
def _hold_lease(folder: WorkspaceFolder, name: str, *, required: bool = True) -> Iterator[None]:
    """The service's lease for a short operation; released at the end of the block.

    Unless it is `required`, the block runs without it on a full or read-only disk, where no process can get one:
    stopping and deleting must not need space first. The lease of a living process is respected there, too.
    """
    holder = f"control-{os.getpid()}-{os.urandom(3).hex()}"
    store = folder.open_store()
    try:
        acquire_lease(store, name, holder)
    except StorageError:
        if required or has_live_holder(store, name):
            raise
        yield
        return
    with Heartbeat(store, name, holder):
        yield


def _discard_event(stage: str, kind: str, text: str = "", **data: Any) -> None:
    """An `Emit` for operations that have no journal."""
