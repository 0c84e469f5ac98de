"""Carries one deployment out, from its check to the switch of traffic, and records how far it came.

`run_deployment` runs in the detached runner or, for an update of a local service or of a container's code, in a thread
of the caller.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import DeploymentCancelled, MldeployError, WebserviceException
from mldeploy_jupyter.core.journal.journal import STAGES, Journal, read_events
from mldeploy_jupyter.core.patience import RUNNER_SECONDS, patience
from mldeploy_jupyter.core.records import DeploymentRequest, RevisionRecord, utc_now
from mldeploy_jupyter.deployment import prewarm, working_folder
from mldeploy_jupyter.deployment.execution import ending
from mldeploy_jupyter.deployment.execution.state import ExecutionState
from mldeploy_jupyter.deployment.execution.steps import build_bundle, check, make_image, prepare_environment
from mldeploy_jupyter.deployment.files import cancel_path, journal_path
from mldeploy_jupyter.deployment.images import image
from mldeploy_jupyter.deployment.lease import Heartbeat
from mldeploy_jupyter.deployment.outcome import record_live
from mldeploy_jupyter.deployment.plan import (
    image_settings,
    server_settings,
    target_context,
)
from mldeploy_jupyter.deployment.services.engines import moved_from
from mldeploy_jupyter.deployment.source import imported_files
from mldeploy_jupyter.deployment.stages import Stages
from mldeploy_jupyter.targets import Cancel, Plan, Strategy, Target, open_target

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


def run_deployment(
    folder: WorkspaceFolder,
    deployment_id: str,
    *,
    secrets: dict[str, str] | None = None,
    clients: dict[str, Any] | None = None,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], str] = utc_now,
    end: threading.Event | None = None,
) -> str:
    """Runs the deployment to its end and returns its state: live, failed or cancelled. `end` is then set.

    The deployment must hold the service's lease under its id; the lease is renewed meanwhile and released at the
    end. Failures are not raised: the journal and the store have them. `clock` measures stages, `now` stamps events.
    A store that is unavailable is waited for, and the journal says so.
    """
    with patience(RUNNER_SECONDS):
        journal = Journal(journal_path(folder, deployment_id), now, create=False)
    with patience(RUNNER_SECONDS, lambda text: journal.write("", "log", text)):
        return _run(folder, deployment_id, journal, secrets or {}, clients, clock, end)


def _run(
    folder: WorkspaceFolder,
    deployment_id: str,
    journal: Journal,
    secrets: dict[str, str],
    clients: dict[str, Any] | None,
    clock: Callable[[], float],
    end: threading.Event | None,
) -> str:
    store = folder.open_store()
    record = store.get_deployment(deployment_id)
    assert record is not None, f"deployment {deployment_id} is not in the store"
    request = DeploymentRequest.from_dict(record.request)
    # The lease is released after everything else: a running deployment without a lease means that its process died.
    with Heartbeat(store, request.service, deployment_id) as lease:
        cancel = _cancel_check(folder, deployment_id, lease)
        stages = Stages(journal, clock)
        state = ExecutionState(folder, store, record, request, journal, stages, cancel, secrets, clients=clients or {})
        try:
            target = open_target(request.target, target_context(folder, clients))
            prewarmed = prewarm.find_prewarm(folder, deployment_id)
            with prewarmed or nullcontext():
                _run_stages(state, target, prewarmed)
            outcome = "live"
        except Exception as error:
            outcome = ending.record_failure(state, error)
        journal.close()
        if end is not None:
            end.set()
        ending.clean_up(state)
    return outcome


def _cancel_check(folder: WorkspaceFolder, deployment_id: str, lease: Heartbeat) -> Cancel:
    cancel_file = cancel_path(folder, deployment_id)

    def raise_if_cancelled() -> None:
        if cancel_file.exists() or lease.cancelled.is_set():
            raise DeploymentCancelled("the deployment was cancelled")
        if lease.lost.is_set():
            raise WebserviceException(
                "the service's lease was lost",
                why="this machine was asleep or could not reach the store, and another operation took over",
                hint="see what is live with `mldeploy service list`, then deploy again",
                code="LeaseLost",
            )

    return raise_if_cancelled


def _run_stages(state: ExecutionState, target: Target, prewarmed: prewarm.Prewarm | None) -> None:
    request = state.request
    service = state.store.get_service(request.service)
    assert service is not None
    revision = _create_revision(state, target, service.revision)
    secrets = {name: value for name, value in state.secrets.items() if name != image.REGISTRY_PASSWORD}
    inputs, plan = check(state, target, Plan(request, service, revision, secrets=secrets))
    app = working_folder.working_folder(state.folder.services / request.service, revision.number)
    # An image that is deployed as it is has all that a bundle has.
    bundle = None if request.image else build_bundle(state, inputs, app if target.capabilities.needs_python else None)
    python = prepare_environment(state, inputs) if target.capabilities.needs_python else ""
    made = make_image(state, inputs) if target.capabilities.needs_image else None
    variables = dict(inputs.environment.environment_variables) if inputs.environment else {}
    state.settings = server_settings(
        bundle,
        revision,
        plan.config,
        python=python,
        variables=variables,
        models=inputs.records,
        app=app if target.capabilities.needs_python else None,
    )
    if made is not None:
        state.settings = image_settings(state.settings)
        # A container that only gets other code continues in its image.
        plan = replace(plan, image="" if made.is_reloaded else made.id, receipt=made.receipt)
    # This write is durable, and so is every earlier one with it: from here on, the target may switch.
    revision = state.revision = state.store.update_revision(
        request.service,
        revision.number,
        bundle_digest=bundle.digest if bundle is not None else "",
        environment=state.environment,
        settings=state.settings,
        **(made.to_fields() if made is not None else {}),
    )
    path = bundle.path if bundle is not None else None
    plan = replace(plan, revision=revision, bundle=path, python=python, settings=state.settings)
    if prewarmed is not None:
        prewarmed.wait_until_ready()
    began = time.time()
    with moved_from(state.folder, service, request.target, state.stages.emit):
        endpoint = target.apply(plan, Strategy(), state.stages.emit, state.cancel)
    state.modules = endpoint.details.get("modules") or {}
    _record_imported(state, revision, began)
    record_live(state.store, state.journal, revision, endpoint, seconds=state.stages.elapsed)


def _record_imported(state: ExecutionState, revision: RevisionRecord, began: float) -> None:
    """Records what the service imported from outside of its bundle; a later deployment asks whether it has changed."""
    app = str(state.settings.get("app_root") or "")
    state.environment["imported"] = imported_files.record(state.modules, app, began)
    # The service is live already; what is missing in the store only costs a needless update.
    with suppress(MldeployError):
        state.store.update_revision(revision.service, revision.number, durable=False, environment=state.environment)


def _create_revision(state: ExecutionState, target: Target, serving: int) -> RevisionRecord:
    """Adds the revision to the store, and tells the journal that the deployment runs.

    `serving` is the number of the revision that serves meanwhile, 0 for none.
    """
    request = state.request
    revision = state.revision = state.store.add_revision(
        RevisionRecord(
            request.service,
            inference_config=request.inference_config,
            deploy_config=request.deploy_config,
            models=request.models,
            deployment_id=state.record.id,
            created_time=utc_now(),
            rolled_back_to=request.revision if request.operation == "rollback" else 0,
        ),
        durable=False,
    )
    state.journal.write(
        "",
        "state",
        state="running",
        service=request.service,
        target=request.target,
        revision=revision.number,
        operation=request.operation,
        serving=serving,
        stages=_planned_stages(target),
        last_seconds=_last_durations(state),
    )
    return revision


def _planned_stages(target: Target) -> list[str]:
    has = target.capabilities
    left_out = {"environment"} if has.needs_image else {"image"}
    return [name for name in STAGES if name not in left_out and (name != "push" or has.needs_registry)]


def _last_durations(state: ExecutionState) -> dict[str, float]:
    """The seconds that each stage took in the last deployment of this service that became live."""
    for record in state.store.list_deployments(service=state.request.service, state="live", limit=2):
        if record.id != state.record.id:
            events = read_events(journal_path(state.folder, record.id))
            return {e.stage: e.data["seconds"] for e in events if e.kind == "finished" and "seconds" in e.data}
    return {}
