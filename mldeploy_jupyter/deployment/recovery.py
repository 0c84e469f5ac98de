"""Finds deployments whose runner died, and records how they ended.

Whatever reads a service calls `refresh_service` first, so no reader ever shows a deployment as running that is not.
`recover_lost_deployments` also finds those that no service knows. A runner that a signal has stopped counts as dead as
soon as it misses a renewal of its lease, and is ended, so that it cannot continue later. A
first deployment or an overwrite that was still loading is cancelled and recorded as interrupted, unless the target had
switched already: then it is live. An update that the service's supervisor has received is completed by the supervisor,
and recorded by a later refresh.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import DeploymentInProgress, StorageError
from mldeploy_jupyter.core.journal.journal import Journal, read_events
from mldeploy_jupyter.core.records import DeploymentRecord, ServiceRecord, utc_now
from mldeploy_jupyter.deployment.diagnose import diagnose_failure
from mldeploy_jupyter.deployment.files import journal_path
from mldeploy_jupyter.deployment.lease import LEASE_SECONDS, has_live_holder, is_overdue
from mldeploy_jupyter.deployment.lost_records import is_behind, restore_service, restore_services
from mldeploy_jupyter.deployment.outcome import record_live, record_not_live
from mldeploy_jupyter.deployment.plan import open_service_target
from mldeploy_jupyter.serving.system import procfs
from mldeploy_jupyter.targets import ServiceStatus, TargetFailure

if TYPE_CHECKING:
    from mldeploy_jupyter.core.store.store import Store
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


Note = Callable[[str], object]  # gets a line that the user should read


def discard_note(text: str) -> None:
    """For callers that show no notes."""


def refresh_service(folder: WorkspaceFolder, name: str, note: Note = discard_note) -> ServiceRecord | None:
    """The service's record, after the end of a deployment whose runner died was recorded. None: no such service.

    A record that the store has lost is made again; `note` gets a line about it.
    """
    store = folder.open_store()
    service = store.get_service(name)
    if service is None:
        return _restore_lost(folder, name, note)
    deployment = store.get_deployment(service.deployment_id) if service.deployment_id else None
    if deployment is None or deployment.state != "running":
        service = _correct_state(store, service)
        return (_restore_lost(folder, name, note) or service) if is_behind(folder, service) else service
    return _recover_abandoned(folder, service, deployment)


def _recover_abandoned(
    folder: WorkspaceFolder, service: ServiceRecord, deployment: DeploymentRecord
) -> ServiceRecord | None:
    """The service's record, after the end of its running deployment was recorded if no process carries it out."""
    store = folder.open_store()
    if not _is_abandoned(store, deployment):
        return service
    try:
        if _acquire_for_recovery(store, deployment):
            try:
                _end_stopped_runner(deployment)
                _recover(folder, service, deployment)
            finally:
                store.leases.release(service.name, _recovery_holder(deployment))
    except StorageError:
        return service  # on a full or read-only disk a look shows what there is
    return store.get_service(service.name)


def recover_lost_deployments(folder: WorkspaceFolder, note: Note = discard_note) -> None:
    """Records the end of every deployment that no process carries out, and adds services that the store has lost.

    Deployments that their service does not name have no process either: one is named by its service until it has ended.
    `note` gets a line about every service that was lost.
    """
    restored = restore_services(folder)
    if restored:
        note(_describe_restored(folder, restored))
    for deployment in folder.open_store().list_deployments(state="running"):
        _refresh(folder, deployment)


def refresh_deployment(folder: WorkspaceFolder, deployment_id: str) -> DeploymentRecord | None:
    """The deployment's record, after its end was recorded if its runner died. None: no such deployment."""
    store = folder.open_store()
    deployment = store.get_deployment(deployment_id)
    if deployment is None or deployment.state != "running":
        return deployment
    _refresh(folder, deployment)
    return store.get_deployment(deployment_id)


def _refresh(folder: WorkspaceFolder, deployment: DeploymentRecord) -> None:
    """Records the end of a running deployment that no process carries out."""
    store = folder.open_store()
    service = store.get_service(deployment.service)
    if service is not None and service.deployment_id == deployment.id:
        _recover_abandoned(folder, service, deployment)
    elif _is_abandoned(store, deployment):
        with suppress(StorageError):
            _end_lost(folder, deployment)


def _restore_lost(folder: WorkspaceFolder, name: str, note: Note) -> ServiceRecord | None:
    if not restore_service(folder, name):
        return None
    note(_describe_restored(folder, [name]))
    return folder.open_store().get_service(name)


def _describe_restored(folder: WorkspaceFolder, names: list[str]) -> str:
    """What a user should know whose store was lost or put back from a backup."""
    url = folder.store_url
    store = f" ({url.removeprefix('sqlite:///')})" if url.startswith("sqlite") else ""
    return (
        f"note: the workspace's store{store} is new, or older than {', '.join(names)}. "
        f"What it lacked was read from {folder.services}; older revisions and other models are only in a backup of it."
    )


def refuse_unfinished_update(store: Store, service: ServiceRecord) -> None:
    """Raises `DeploymentInProgress` for an update whose caller died and which the service's supervisor completes.

    Its lease has no live holder, so the lease alone would not stop another deployment.
    """
    deployment = store.get_deployment(service.deployment_id) if service.deployment_id else None
    if deployment is None or deployment.state != "running":
        return
    lease = store.leases.get(service.name)
    stopped = process_identity.is_stopped(deployment.runner) and (lease is None or lease.holder != deployment.id)
    if stopped or process_identity.is_alive(deployment.runner) is False:
        raise DeploymentInProgress(
            f"service {deployment.service} is being changed by deployment {deployment.id}",
            deployment_id=deployment.id,
            why="its caller is gone, and the service's supervisor finishes it",
            hint=f"wait for it with `mldeploy service wait -n {deployment.service}`",
        )


def _correct_state(store: Store, service: ServiceRecord) -> ServiceRecord:
    """Ends the state of a service that is deploying or updating although no deployment is under way."""
    if service.state not in ("Deploying", "Updating"):
        return service
    if has_live_holder(store, service.name):
        return service  # an operation is just beginning or ending
    current = store.get_service(service.name)
    if current != service:
        return current or service
    state = "Live" if service.revision else "Failed"
    try:
        return store.update_service(service.name, state=state)
    except StorageError:
        return replace(service, state=state)


def _end_lost(folder: WorkspaceFolder, deployment: DeploymentRecord) -> None:
    store, text = folder.open_store(), "its process died before it had begun"
    _end_stopped_runner(deployment)
    revision = store.get_revision(deployment.service, deployment.revision) if deployment.revision else None
    if revision is not None and revision.deployment_id == deployment.id and revision.outcome == "pending":
        store.update_revision(deployment.service, revision.number, outcome="failed")
    if os.path.exists(journal_path(folder, deployment.id)):
        journal = Journal(journal_path(folder, deployment.id), required=False)
        journal.write("", "state", text, state="interrupted", serving=0)
        journal.close()
    cause = {"code": "interrupted", "what": text, "at": ""}
    store.update_deployment(deployment.id, state="interrupted", finished_time=utc_now(), cause=cause)


def _is_abandoned(store: Store, deployment: DeploymentRecord) -> bool:
    """Whether no process carries out this running deployment."""
    alive = process_identity.is_alive(deployment.runner)
    if alive is False:
        return True
    lease = store.leases.get(deployment.service)
    if lease is None or lease.holder != deployment.id:
        # The lease is released only after the outcome was recorded, so a missing lease means that recording failed.
        # The process itself may live on: a kernel whose thread failed, or that was interrupted before it began.
        return True
    # Of a process on another machine, only the lease tells.
    return is_overdue(store, lease) if alive else store.leases.remaining(lease) <= 0


def _end_stopped_runner(deployment: DeploymentRecord) -> None:
    """Kills a runner that a signal has stopped: it must not continue after its end was recorded.

    Only the process that was started for this deployment; a kernel that carries it out in a thread finds its lease
    lost.
    """
    if not process_identity.is_stopped(deployment.runner):
        return
    pid = deployment.runner["pid"]
    if deployment.id in procfs.read_file(pid, "cmdline").split("\0"):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _recovery_holder(deployment: DeploymentRecord) -> str:
    return f"recovery-{deployment.id}"


def _acquire_for_recovery(store: Store, deployment: DeploymentRecord) -> bool:
    """Acquires the lease; of several processes that found the dead runner, only one may record the end."""
    store.leases.release(deployment.service, deployment.id)
    holder = _recovery_holder(deployment)
    try:
        store.leases.acquire(deployment.service, holder, LEASE_SECONDS, process_identity.identify_process())
    except DeploymentInProgress:
        return False
    current = store.get_deployment(deployment.id)
    if current is None or current.state != "running":  # another process was faster
        store.leases.release(deployment.service, holder)
        return False
    return True


def _recover(folder: WorkspaceFolder, service: ServiceRecord, deployment: DeploymentRecord) -> None:
    # A service that moves to another engine has the old one's name until the new one is live.
    service = replace(service, target=deployment.target or service.target)
    target = open_service_target(folder, service)
    try:
        # Also one that has not begun: the runner's request may be on the way, and must not be carried out later.
        if deployment.operation == "deploy" or not _last_rollout(target.status(service), deployment):
            target.cancel(service, deployment.id)
        status = target.status(service)
    except TargetFailure as failure:
        status = ServiceStatus("Unhealthy", failure=failure.failure)
    last = _last_rollout(status, deployment)
    outcome = last.get("outcome")
    if outcome == "running":  # the supervisor completes the update
        return
    journal = Journal(journal_path(folder, deployment.id), required=False)
    try:
        if _record_if_live(folder.open_store(), service, deployment, status, journal):
            return
        if outcome == "failed":
            _record_failed(folder, service, deployment, last.get("failure") or {}, journal)
        elif outcome == "cancelled" and deployment.cancel:
            record_not_live(
                folder.open_store(),
                journal,
                service.name,
                deployment.id,
                "cancelled",
                "cancelled",
                revision=deployment.revision,
            )
        else:
            _record_interrupted(folder, service, deployment, journal)
    finally:
        journal.close()


def _last_rollout(status: ServiceStatus, deployment: DeploymentRecord) -> dict[str, Any]:
    """What the target says of this deployment's rollout; {} when it has not begun it."""
    last = status.details.get("last_deploy") or {}
    return last if last.get("deployment_id") == deployment.id else {}


def _record_if_live(
    store: Store, service: ServiceRecord, deployment: DeploymentRecord, status: ServiceStatus, journal: Journal
) -> bool:
    """Records the deployment as live if the target had switched before the runner died."""
    revision = store.get_revision(service.name, status.revision) if status.deployment_id == deployment.id else None
    if revision is None or status.endpoint is None:
        return False
    record_live(store, journal, revision, status.endpoint, "its runner died; the service had switched")
    return True


def _record_failed(
    folder: WorkspaceFolder,
    service: ServiceRecord,
    deployment: DeploymentRecord,
    failure: dict[str, Any],
    journal: Journal,
) -> None:
    """Records an update that the supervisor tried to complete and could not bring up."""
    store = folder.open_store()
    revision = store.get_revision(service.name, deployment.revision)
    cause = diagnose_failure(
        folder,
        failure,
        bundle_path=folder.bundles / revision.bundle_digest if revision and revision.bundle_digest else None,
        inference=revision.inference_config if revision else {},
        settings=revision.settings if revision else {},
        models=[],
    )
    record_not_live(
        store,
        journal,
        service.name,
        deployment.id,
        "failed",
        cause.what,
        revision=revision.number if revision else 0,
        cause=cause.to_dict(),
    )


def _record_interrupted(
    folder: WorkspaceFolder, service: ServiceRecord, deployment: DeploymentRecord, journal: Journal
) -> None:
    stage = _open_stage(folder, deployment)
    text = f"its runner died in the stage {stage}" if stage else "its runner died"
    record_not_live(
        folder.open_store(),
        journal,
        service.name,
        deployment.id,
        "interrupted",
        text,
        revision=deployment.revision,
        cause={"code": "interrupted", "what": text, "at": stage},
        at=stage,
    )


def _open_stage(folder: WorkspaceFolder, deployment: DeploymentRecord) -> str:
    """The stage that had started and not ended when the runner died, or ""."""
    stage = ""
    for event in read_events(journal_path(folder, deployment.id)):
        if event.kind == "started":
            stage = event.stage
        elif event.kind in ("finished", "failed") and event.stage == stage:
            stage = ""
    return stage
