"""The look at a service: finds what happened while nobody was looking, and writes it down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import WebserviceException
from mldeploy_jupyter.core.journal.journal import Journal, read_events
from mldeploy_jupyter.core.records import DeploymentRecord, ServiceRecord, utc_now
from mldeploy_jupyter.deployment import diagnose
from mldeploy_jupyter.deployment.execute import made_live
from mldeploy_jupyter.deployment.files import JOURNAL_FILE
from mldeploy_jupyter.deployment.plan import target_context
from mldeploy_jupyter.targets import ServiceStatus, TargetFailure, open_target

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


def refresh_service(folder: WorkspaceFolder, name: str) -> ServiceRecord | None:
    """The service's record as it is now, with a dead runner found and its deployment ended.

    A runner of this machine is dead when its process is; one of another machine when its lease has run out.
    """
    store = folder.open_store()
    service = store.get_service(name)
    if service is None or not service.deployment_id:
        return service
    deployment = store.get_deployment(service.deployment_id)
    if deployment is None or deployment.state != "running" or not _is_dead(folder, deployment):
        return service
    if not _take_over(folder, deployment):
        return store.get_service(name)
    try:
        _bury(folder, service, deployment)
    finally:
        store.leases.release(name, _BURIAL + deployment.id)
    return store.get_service(name)


def query_status(folder: WorkspaceFolder, service: ServiceRecord) -> ServiceStatus:
    """What the target says of the service at this moment; of one on another machine, what the store says."""
    if remote_location(folder, service):
        return ServiceStatus(service.state, service.revision, service.deployment_id)
    return open_target(service.target, target_context(folder)).status(service)


def remote_location(folder: WorkspaceFolder, service: ServiceRecord) -> str:
    """Where a local service runs when that is not here: another machine, or another folder with the same store."""
    host = str(service.endpoint.get("host") or "")
    if host and host != process_identity.host_name():
        return f"the machine {host}"
    if service.target == "local" and service.workspace_id not in ("", folder.id):
        return f"another workspace folder{f' of {host}' if host else ''}"
    return ""


def require_local(folder: WorkspaceFolder, service: ServiceRecord) -> None:
    """Raises `WebserviceException` when what is asked can be done only elsewhere."""
    place = remote_location(folder, service)
    if place:
        raise WebserviceException(
            f"{service.name} runs in {place}" if "folder" in place else f"{service.name} runs on {place}",
            why=f"a local service answers, and can be changed, only where it runs; {service.created_by} made it",
            hint="do it there, or deploy it here under another name",
        )


def display_state(service: ServiceRecord, status: ServiceStatus) -> str:
    """Deploying, Updating, Live, Unhealthy, Failed or Stopped."""
    if service.state in ("Deploying", "Updating"):
        return service.state
    if status.state == "Absent":
        return "Failed" if not service.revision else "Unhealthy"
    return status.state


_BURIAL = "look-"

_BURIAL_TTL = 30.0


def _is_dead(folder: WorkspaceFolder, deployment: DeploymentRecord) -> bool:
    alive = process_identity.is_alive(deployment.runner)
    if alive is False:
        return True
    store = folder.open_store()
    lease = store.leases.get(deployment.service)
    if lease is None or lease.holder != deployment.id:
        # Who carries it out lets go last. A kernel may live on when its thread could not write down how it ended,
        # or when it was interrupted before it had begun.
        return True
    return alive is None and lease.expires < store.leases.now()


def _take_over(folder: WorkspaceFolder, deployment: DeploymentRecord) -> bool:
    """Only one looker buries a dead runner. True when it is us and the deployment still counts as running."""
    from mldeploy_jupyter.core.errors import DeploymentInProgress

    store = folder.open_store()
    store.leases.release(deployment.service, deployment.id)
    try:
        store.leases.acquire(
            deployment.service, _BURIAL + deployment.id, _BURIAL_TTL, process_identity.identify_process()
        )
    except DeploymentInProgress:
        return False
    now = store.get_deployment(deployment.id)
    if now is None or now.state != "running":
        store.leases.release(deployment.service, _BURIAL + deployment.id)
        return False
    return True


def _bury(folder: WorkspaceFolder, service: ServiceRecord, deployment: DeploymentRecord) -> None:
    store = folder.open_store()
    target = open_target(service.target, target_context(folder))
    try:
        if deployment.operation == "deploy":
            target.cancel(service, deployment.id)
        status = target.status(service)
    except TargetFailure as failure:
        status = ServiceStatus("Unhealthy", failure=failure.failure)
    last = status.details.get("last_deploy") or {}
    asked = last.get("deployment_id") == deployment.id
    if asked and last.get("outcome") == "running":
        return  # an update whose caller is gone: its supervisor finishes it, and a later look records how
    journal = Journal(folder.deployments / deployment.id / JOURNAL_FILE)
    try:
        revision = store.get_revision(service.name, status.revision) if status.deployment_id == deployment.id else None
        if revision is not None and status.endpoint is not None:
            # The runner died after the target had switched: the deployment did what it was asked to.
            endpoint = status.endpoint
            made_live(store, service.name, revision, endpoint.scoring_uri, endpoint.swagger_uri, endpoint.details)
            journal.write(
                "", "state", "its runner died; the service had switched", state="live",
                scoring_uri=endpoint.scoring_uri, revision=revision.number,
            )  # fmt: skip
            store.update_deployment(deployment.id, state="live", finished_time=utc_now())
            return
        if asked and last.get("outcome") == "failed":
            _bury_failed(folder, service, deployment, last.get("failure") or {}, journal)
            return
        open_stage = _open_stage(folder, deployment)
        text = f"its runner died in the stage {open_stage}" if open_stage else "its runner died"
        if deployment.revision:
            store.update_revision(service.name, deployment.revision, outcome="failed")
        store.update_service(service.name, state="Live" if service.revision else "Failed", updated_time=utc_now())
        journal.write("", "state", text, state="interrupted", at=open_stage, serving=service.revision)
        cause = {"code": "interrupted", "what": text, "at": open_stage}
        store.update_deployment(deployment.id, state="interrupted", finished_time=utc_now(), cause=cause)
    finally:
        journal.close()


def _bury_failed(
    folder: WorkspaceFolder,
    service: ServiceRecord,
    deployment: DeploymentRecord,
    failure: dict[str, Any],
    journal: Journal,
) -> None:
    """An update that its supervisor went on with, and could not bring up."""
    store = folder.open_store()
    revision = store.get_revision(service.name, deployment.revision)
    cause = diagnose.of_failure(
        folder,
        failure,
        bundle_path=folder.bundles / revision.bundle_digest if revision and revision.bundle_digest else None,
        inference=revision.inference_config if revision else {},
        settings=revision.settings if revision else {},
        models=[],
    )
    if revision is not None:
        store.update_revision(service.name, revision.number, outcome="failed")
    state = "Live" if service.revision else "Failed"
    store.update_service(service.name, state=state, error=cause.to_dict(), updated_time=utc_now())
    journal.write("", "state", cause.what, state="failed", serving=service.revision, cause=cause.to_dict())
    store.update_deployment(deployment.id, state="failed", finished_time=utc_now(), cause=cause.to_dict())


def _open_stage(folder: WorkspaceFolder, deployment: DeploymentRecord) -> str:
    stage = ""
    for event in read_events(folder.deployments / deployment.id / JOURNAL_FILE):
        if event.kind == "started":
            stage = event.stage
        elif event.kind in ("finished", "failed") and event.stage == stage:
            stage = ""
    return stage
