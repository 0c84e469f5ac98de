"""Starts a deployment: takes the lease, writes the request down, and hands it to a runner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import DeploymentInProgress, NameInUse
from mldeploy_jupyter.core.files import make_private_dir
from mldeploy_jupyter.core.journal.journal import Journal
from mldeploy_jupyter.core.records import DeploymentRecord, DeploymentRequest, RevisionRecord, ServiceRecord, utc_now
from mldeploy_jupyter.deployment import prewarm
from mldeploy_jupyter.deployment.execute import completion_events, initial_service, run_deployment
from mldeploy_jupyter.deployment.files import JOURNAL_FILE
from mldeploy_jupyter.deployment.lease import TTL, take
from mldeploy_jupyter.deployment.plan import target_context
from mldeploy_jupyter.deployment.recovery import refresh_service, require_local
from mldeploy_jupyter.targets import TARGET_OF, open_target

if TYPE_CHECKING:
    from mldeploy_jupyter.core.store.store import Store
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


# -P: the working folder holds the user's modules, which must not stand in for the library's.
RUNNER = ["-P", "-m", "mldeploy_jupyter.deployment.runner"]

# Makes the request once the lease is held, so that what it builds on cannot change any more.
MakeRequest = Callable[[ServiceRecord | None, RevisionRecord | None], DeploymentRequest]


def check_can_start(
    folder: WorkspaceFolder,
    name: str,
    compute_type: str,
    *,
    clients: dict[str, Any] | None = None,
    overwrite: bool = True,
) -> None:
    """Raises what `start_deployment` would raise before it begins anything; see there."""
    open_target(TARGET_OF.get(compute_type, compute_type), target_context(folder, clients))
    store = folder.open_store()
    there = refresh_service(folder, name)
    if there is not None:
        require_local(folder, there)
    if there is not None and there.revision and not overwrite:
        raise NameInUse(
            f"there is a service {name} already",
            why=f"it is {there.state} with revision {there.revision}",
            hint=f"pass overwrite=True, call Webservice(ws, {name!r}).update(...), or choose another name",
        )
    _refuse_unfinished(store, there)


def start_deployment(
    folder: WorkspaceFolder,
    name: str,
    compute_type: str,
    make_request: MakeRequest,
    *,
    secrets: dict[str, str] | None = None,
    clients: dict[str, Any] | None = None,
    detached: bool = True,
    overwrite: bool = True,
    describe: Callable[[ServiceRecord], dict[str, Any]] = lambda present: {},
) -> DeploymentRecord:
    """Begins a deployment and returns at once; its journal is `deployments/<id>/events.jsonl`.

    With `detached` a process of its own carries it out. Without, a thread of this process does: right for the
    update of a local service, and needed when `clients` holds objects that no other process can have. `describe`
    gives the service's new tags, properties and description, which are no part of a revision.

    Raises:
        TargetNotAvailable: no installed package offers the target.
        NameInUse: the service has a revision already and `overwrite` is false.
        DeploymentInProgress: another operation holds the service; carries its id.
    """
    check_can_start(folder, name, compute_type, clients=clients, overwrite=overwrite)
    target, store = TARGET_OF.get(compute_type, compute_type), folder.open_store()
    deployment_id = f"{utc_now()[:19].translate(str.maketrans('', '', '-:'))}-{os.urandom(3).hex()}"
    take(store, name, deployment_id)
    try:
        there = store.get_service(name)
        revision = store.get_revision(name, there.revision) if there and there.revision else None
        request = make_request(there, revision)
        record = DeploymentRecord(
            deployment_id,
            name,
            target,
            operation=request.operation,
            created_time=utc_now(),
            request=request.to_dict(),
            runner=process_identity.identify_process(),
        )
        place = folder.deployments / deployment_id
        make_private_dir(place)
        (place / "request.json").write_text(json.dumps(request.to_dict(), indent=1))
        Journal(place / JOURNAL_FILE).close()
        # Durable with the revision that is written down before the target is asked (run_deployment).
        store.add_deployment(record, durable=False)
        if there is None:
            store.save_service(initial_service(request, compute_type, folder.id, process_identity.user_name()))
        state = {
            "state": "Updating" if there is not None and there.revision else "Deploying",
            "target": target,
            "compute_type": compute_type,
            "deployment_id": deployment_id,
        }
        store.change_service(name, lambda present: {**state, **describe(present)}, durable=False)
        if detached and not clients:
            return _spawn(folder, record, secrets or {})
    except BaseException as error:
        _give_up(store, name, deployment_id, there, error)
        raise
    if clients:
        journal = Journal(place / JOURNAL_FILE)
        journal.write("", "log", "runs in the calling process: a client object was handed in")
        journal.close()
    threading.Thread(
        target=run_deployment,
        args=(folder, deployment_id),
        kwargs={
            "secrets": secrets,
            "clients": clients,
            "end": completion_events.setdefault(deployment_id, threading.Event()),
        },
        name=f"mldeploy-{name}",
    ).start()
    return record


def _refuse_unfinished(store: Store, service: ServiceRecord | None) -> None:
    """An update whose caller is gone, and which its supervisor still brings up, is under way though nobody holds it."""
    deployment = store.get_deployment(service.deployment_id) if service and service.deployment_id else None
    if (
        deployment is not None
        and deployment.state == "running"
        and process_identity.is_alive(deployment.runner) is False
    ):
        raise DeploymentInProgress(
            f"service {deployment.service} is being changed by deployment {deployment.id}",
            deployment_id=deployment.id,
            why="its caller is gone, and the service's supervisor finishes it",
            hint=f"wait for it with `mldeploy service wait -n {deployment.service}`",
        )


def _give_up(store: Store, name: str, deployment_id: str, before: ServiceRecord | None, error: BaseException) -> None:
    """A deployment that could not be handed to its runner leaves the service as it was."""
    if store.get_deployment(deployment_id) is not None:
        store.update_deployment(deployment_id, state="failed", finished_time=utc_now(), cause={"what": str(error)})
    service = store.get_service(name)
    if service is not None and service.deployment_id == deployment_id:
        if before is None:
            store.remove_service(name)
        else:
            kept = ("state", "deployment_id", "tags", "properties", "description")
            store.update_service(name, **{field: getattr(before, field) for field in kept})
    store.leases.release(name, deployment_id)


def _spawn(folder: WorkspaceFolder, record: DeploymentRecord, secrets: dict[str, str]) -> DeploymentRecord:
    store = folder.open_store()
    place = folder.deployments / record.id
    with (place / "runner.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *RUNNER, str(folder.root), record.id],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    threading.Thread(target=process.wait, name="mldeploy-reap", daemon=True).start()
    who = process_identity.identify_process(process.pid)
    record = store.update_deployment(record.id, runner=who)
    store.leases.acquire(record.service, record.id, TTL, who)
    assert process.stdin is not None
    with prewarm.begin(folder, record, secrets) or nullcontext(), process.stdin:
        process.stdin.write(json.dumps(secrets).encode())
    return record
