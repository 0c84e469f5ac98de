"""Starts a deployment: acquires the lease, records the request, and hands it to a runner process or a thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import NameInUse
from mldeploy_jupyter.core.files import make_private_dir, open_private
from mldeploy_jupyter.core.journal.journal import Journal
from mldeploy_jupyter.core.records import DeploymentRecord, DeploymentRequest, RevisionRecord, ServiceRecord, utc_now
from mldeploy_jupyter.deployment import prewarm
from mldeploy_jupyter.deployment.completion import completion_events
from mldeploy_jupyter.deployment.files import REQUEST_FILE, RUNNER_LOG, journal_path
from mldeploy_jupyter.deployment.lease import LEASE_SECONDS, acquire_lease
from mldeploy_jupyter.deployment.plan import target_context
from mldeploy_jupyter.deployment.recovery import refresh_service, refuse_unfinished_update
from mldeploy_jupyter.deployment.services.status import require_local
from mldeploy_jupyter.deployment.source import snapshot
from mldeploy_jupyter.targets import open_target, target_of

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


# -P: modules in the user's working folder must not hide the library's.
RUNNER = ["-P", "-m", "mldeploy_jupyter.deployment.runner"]

# Makes the request from the service and its live revision. Called while the lease is held, so that neither can change.
MakeRequest = Callable[[ServiceRecord | None, RevisionRecord | None], DeploymentRequest]

# The service's new tags, properties and description, from the service as it is.
DescribeService = Callable[[ServiceRecord], dict[str, Any]]


@dataclass(frozen=True)
class LaunchSpec:
    """A deployment to start.

    With `detached` a runner process carries it out, which survives the caller. Otherwise a thread of this process does:
    right for an update of a local service, which its supervisor completes anyway, or of a container's code alone, and
    necessary with `clients`, objects that cannot be passed to another process. `describe` returns metadata, which
    belongs to the service and not to a revision. `target` is by default that of the compute type. `on_recorded` is
    called when the store has the deployment, before anything is started for it, which takes the processors for a while.
    """

    name: str
    compute_type: str
    make_request: MakeRequest
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    clients: dict[str, Any] = field(default_factory=dict)
    detached: bool = True
    overwrite: bool = True
    describe: DescribeService = lambda service: {}
    target: str = ""
    on_recorded: Callable[[DeploymentRecord], object] = lambda record: None

    @property
    def target_name(self) -> str:
        return self.target or target_of(self.compute_type)


def check_can_start(
    folder: WorkspaceFolder,
    name: str,
    target: str,
    *,
    clients: dict[str, Any] | None = None,
    overwrite: bool = True,
) -> None:
    """Raises what `start_deployment` would raise, and starts nothing."""
    open_target(target, target_context(folder, clients))
    service = refresh_service(folder, name)
    if service is None:
        return
    require_local(folder, service)
    if service.revision and not overwrite:
        raise NameInUse(
            f"there is a service {name} already",
            why=f"it is {service.state} with revision {service.revision}",
            hint=f"pass overwrite=True, call Webservice(ws, {name!r}).update(...), or choose another name",
        )
    refuse_unfinished_update(folder.open_store(), service)


def start_deployment(
    folder: WorkspaceFolder, spec: LaunchSpec, *, now: Callable[[], str] = utc_now
) -> DeploymentRecord:
    """Starts a deployment and returns at once; its journal is `deployments/<id>/events.jsonl`.

    `now` stamps the events that this process writes.

    Raises:
        TargetNotAvailable: no installed package provides the target.
        WebserviceException: the service runs on another machine.
        NameInUse: the service has a revision and `overwrite` is false.
        DeploymentInProgress: another operation is changing the service; the error has its id.
    """
    check_can_start(folder, spec.name, spec.target_name, clients=spec.clients, overwrite=spec.overwrite)
    store = folder.open_store()
    deployment_id = f"{utc_now()[:19].translate(str.maketrans('', '', '-:'))}-{os.urandom(3).hex()}"
    acquire_lease(store, spec.name, deployment_id)
    service = store.get_service(spec.name)
    try:
        record = _create_records(folder, spec, deployment_id, service)
        spec.on_recorded(record)
        if spec.detached and not spec.clients:
            return _spawn_runner(folder, record, spec.secrets)
    except BaseException as error:  # also an interrupt: a deployment that nothing carries out must not stay behind
        _revert(folder, spec.name, deployment_id, service, error)
        raise
    _start_thread(folder, record, spec, now)
    return record


def _create_records(
    folder: WorkspaceFolder, spec: LaunchSpec, deployment_id: str, service: ServiceRecord | None
) -> DeploymentRecord:
    """Writes the request, an empty journal, and the records of the deployment and its service."""
    store, target = folder.open_store(), spec.target_name
    revision = store.get_revision(spec.name, service.revision) if service and service.revision else None
    request = spec.make_request(service, revision)
    record = DeploymentRecord(
        deployment_id,
        spec.name,
        target,
        operation=request.operation,
        created_time=utc_now(),
        request=request.to_dict(),
        runner=process_identity.identify_process(),
    )
    deployment_folder = folder.deployments / deployment_id
    make_private_dir(deployment_folder)
    with open_private(deployment_folder / REQUEST_FILE, "w") as file:
        json.dump(request.to_dict(), file, indent=1)
    snapshot.take_snapshot(request, deployment_folder)
    Journal(journal_path(folder, deployment_id)).close()
    serves = service is not None and service.revision
    state = {
        "state": "Updating" if serves else "Deploying",
        # What serves is asked of its own target until the new one is live; see `record_live`.
        "target": service.target if service is not None and serves else target,
        "compute_type": spec.compute_type,
        "deployment_id": deployment_id,
    }
    # Not durable yet: these rows become so with the revision that is written before the target is called.
    return store.begin_deployment(
        record, _new_service(spec, target, folder.id), lambda service: {**state, **spec.describe(service)}
    )


def _new_service(spec: LaunchSpec, target: str, workspace_id: str) -> ServiceRecord:
    now = utc_now()
    return ServiceRecord(
        spec.name,
        target,
        spec.compute_type,
        workspace_id=workspace_id,
        created_time=now,
        updated_time=now,
        created_by=process_identity.user_name(),
    )


def _spawn_runner(folder: WorkspaceFolder, record: DeploymentRecord, secrets: dict[str, str]) -> DeploymentRecord:
    """Starts the runner process and passes the lease and the secrets to it."""
    store = folder.open_store()
    # The supervisor first: its imports take longest. The runner begins when its standard input is closed, and both are
    # recorded by then.
    with prewarm.start_prewarm(folder, record, secrets) or nullcontext():
        with open_private(folder.deployments / record.id / RUNNER_LOG, "ab") as log:
            process = subprocess.Popen(
                [sys.executable, *RUNNER, str(folder.root), record.id],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        threading.Thread(target=process.wait, name="mldeploy-reap", daemon=True).start()
        assert process.stdin is not None
        with process.stdin:
            runner = process_identity.identify_process(process.pid)
            record = store.update_deployment(record.id, runner=runner)
            store.leases.acquire(record.service, record.id, LEASE_SECONDS, runner)
            process.stdin.write(json.dumps(secrets).encode())
    return record


def _start_thread(folder: WorkspaceFolder, record: DeploymentRecord, spec: LaunchSpec, now: Callable[[], str]) -> None:
    from mldeploy_jupyter.deployment.execution.execute import run_deployment  # most callers leave it to a runner

    if spec.clients:
        journal = Journal(journal_path(folder, record.id), now)
        journal.write("", "log", "runs in the calling process: a client object was handed in")
        journal.close()
    end = completion_events.setdefault(record.id, threading.Event())
    threading.Thread(
        target=run_deployment,
        args=(folder, record.id),
        kwargs={"secrets": spec.secrets, "clients": spec.clients, "now": now, "end": end},
        name=f"mldeploy-{spec.name}",
    ).start()


def _revert(
    folder: WorkspaceFolder, name: str, deployment_id: str, before: ServiceRecord | None, error: BaseException
) -> None:
    """Leaves the service as it was before a deployment that could not be started, and releases the lease."""
    store = folder.open_store()
    if store.get_deployment(deployment_id) is not None:
        journal = Journal(journal_path(folder, deployment_id), required=False)  # it may be shown already
        journal.write("", "state", "it could not be started", state="failed", serving=0, cause={"what": str(error)})
        journal.close()
        store.update_deployment(deployment_id, state="failed", finished_time=utc_now(), cause={"what": str(error)})
    service = store.get_service(name)
    if service is not None and service.deployment_id == deployment_id:
        if before is None:
            store.remove_service(name)
        else:
            changed = ("state", "deployment_id", "tags", "properties", "description")
            store.update_service(name, **{field: getattr(before, field) for field in changed})
    store.leases.release(name, deployment_id)
