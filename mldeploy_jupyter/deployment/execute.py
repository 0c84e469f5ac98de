"""Carries one deployment out, from its check to its switched traffic, and writes down how far it came.

The same function runs in the detached runner and, for an update of a local service, in the caller.
"""

from __future__ import annotations

import re
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import DeploymentCancelled, MldeployError, WebserviceException
from mldeploy_jupyter.core.journal.journal import STAGES, Journal, read_events
from mldeploy_jupyter.core.records import DeploymentRecord, DeploymentRequest, RevisionRecord, ServiceRecord, utc_now
from mldeploy_jupyter.core.text import format_size
from mldeploy_jupyter.deployment import diagnose, prewarm
from mldeploy_jupyter.deployment import plan as planning
from mldeploy_jupyter.deployment.files import CANCEL_FILE, JOURNAL_FILE
from mldeploy_jupyter.deployment.lease import Heartbeat
from mldeploy_jupyter.deployment.plan import target_context
from mldeploy_jupyter.deployment.stages import Stages
from mldeploy_jupyter.targets import Plan, Strategy, Target, TargetFailure, open_target

if TYPE_CHECKING:
    from mldeploy_jupyter.core.diagnosis import Cause
    from mldeploy_jupyter.core.store.store import Store
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


# Set when a deployment that this process carries out has ended, for whoever waits here.
completion_events: weakref.WeakValueDictionary[str, threading.Event] = weakref.WeakValueDictionary()

_pins: dict[tuple[str, str, frozenset[str]], list[str]] = {}  # of the same installed packages and imported modules


@dataclass
class ExecutionState:
    """What is known so far; a failure is explained from it."""

    request: DeploymentRequest
    inputs: planning.Inputs | None = None
    bundle_path: Path | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    lock: str = ""
    revision: RevisionRecord | None = None
    modules: dict[str, str] = field(default_factory=dict)  # what the service had imported after init and sample


def run_deployment(
    folder: WorkspaceFolder,
    deployment_id: str,
    *,
    secrets: dict[str, str] | None = None,
    clients: dict[str, Any] | None = None,
    clock: Callable[[], float] = time.monotonic,
    end: threading.Event | None = None,
) -> str:
    """Runs the deployment to its end and returns its state: live, failed or cancelled. `end` is then set.

    The lease must be held under the deployment's id; it is kept alive meanwhile and released at the end. Never
    raises for what a deployment can run into; the journal and the store have it.
    """
    store = folder.open_store()
    record = store.get_deployment(deployment_id)
    assert record is not None, f"deployment {deployment_id} is not in the store"
    request = DeploymentRequest.from_dict(record.request)
    place = folder.deployments / deployment_id
    journal = Journal(place / JOURNAL_FILE)
    stages = Stages(journal, clock)
    work = ExecutionState(request)
    with Heartbeat(store, request.service, deployment_id) as lease:

        def check_cancel() -> None:
            if (place / CANCEL_FILE).exists() or lease.cancelled.is_set():
                raise DeploymentCancelled("the deployment was cancelled")
            if lease.lost.is_set():
                raise WebserviceException(
                    "the right to change the service was lost",
                    why="this machine was asleep or away from the store, and another operation took over",
                    hint="see what is live with `mldeploy service list`, then deploy again",
                    code="LeaseLost",
                )

        try:
            target = open_target(request.target, target_context(folder, clients))
            ahead = prewarm.begun(folder, deployment_id)
            with ahead or nullcontext():
                state = _run(folder, store, record, target, work, stages, check_cancel, secrets or {}, ahead)
        except DeploymentCancelled:
            stages.fail("cancelled")
            state = _end(store, record, work, stages, "cancelled", None)
        except TargetFailure as failure:
            state = _fail(store, record, work, stages, _explain(folder, work, failure.failure))
        except MldeployError as error:
            state = _fail(store, record, work, stages, diagnose.of_error(folder, error, request.inference_config))
        except Exception as error:  # a defect of ours: the whole traceback belongs into the journal
            for line in traceback.format_exc().splitlines():
                stages.emit(stages.current, "log", line)
            state = _fail(store, record, work, stages, diagnose.of_defect(error))
        journal.close()
        if end is not None:
            end.set()
        # The deployment has ended. What follows may find the service deleted or the disk full, and changes nothing.
        with suppress(MldeployError):
            _keep_pins(store, work)
        with suppress(MldeployError):
            _archive(folder, deployment_id, place / JOURNAL_FILE)
    return state


def _run(
    folder: WorkspaceFolder,
    store: Store,
    record: DeploymentRecord,
    target: Target,
    work: ExecutionState,
    stages: Stages,
    cancel: Callable[[], None],
    secrets: dict[str, str],
    ahead: prewarm.Prewarm | None,
) -> str:
    from mldeploy_jupyter import environments

    request = work.request
    service = store.get_service(request.service)
    assert service is not None
    revision = store.add_revision(
        RevisionRecord(
            request.service,
            inference_config=request.inference_config,
            deploy_config=request.deploy_config,
            models=request.models,
            deployment_id=record.id,
            created_time=utc_now(),
            rolled_back_to=request.revision if request.operation == "rollback" else 0,
        ),
        durable=False,
    )
    work.revision = revision
    stages.state(
        "running",
        service=request.service,
        target=request.target,
        revision=revision.number,
        operation=request.operation,
        stages=[name for name in STAGES if name != "push" or target.capabilities.needs_image],
        last_seconds=_last_seconds(folder, store, record),
    )

    with stages.stage("check") as detail:
        inputs = work.inputs = planning.collect_inputs(request, folder, store)
        config = inputs.config.resolved()
        plan = Plan(request, service, revision, config=config, secrets=secrets)
        found = [_count(len(request.models), "model")] if request.models else []
        for finding in target.check(plan):
            stages.emit("check", "log", f"{finding.level}: {finding.what}", level=finding.level)
            if finding.level == "error":
                raise WebserviceException(finding.what, why=finding.why, hint=finding.hint, code=finding.code)
            found.append(finding.what)
        detail("; ".join(found))
        cancel()

    spec = inputs.environment
    variables = dict(spec.environment_variables) if spec else {}

    def emit_environment(kind: str, text: str = "", **data: Any) -> None:
        stages.emit(stages.current, kind, text, **data)

    with stages.stage("bundle") as detail:
        lock, python = "", ""
        if spec is not None:
            existing = inputs.existing_bundle
            if existing is not None and (existing.path / "environment.lock").exists():
                lock = (existing.path / "environment.lock").read_text()
            else:
                made = environments.lock(
                    spec, kernel_python=request.kernel_python, emit=emit_environment, cancel=cancel
                )
                lock, python = made.text, made.python_version
        bundle = planning.make_bundle(inputs, folder, lock=lock, python=python, check=cancel)
        work.bundle_path = bundle.path
        sizes = [size for _digest, size in bundle.manifest["files"].values()]
        detail(f"{_count(len(sizes), 'file')} with the server, {format_size(sum(sizes))}, {bundle.digest[:8]}")
        cancel()

    interpreter = ""
    if target.capabilities.needs_python:
        with stages.stage("environment") as detail:
            prepared = environments.prepare(
                spec,
                kernel_python=request.kernel_python,
                emit=emit_environment,
                cancel=cancel,
                known_lock=lock or None,
            )
            interpreter = prepared.python
            work.lock = prepared.lock
            kept = "used as it is" if prepared.kind == "current" else "built" if prepared.built else "already built"
            version = re.search(r"^# python ([\d.]+)", prepared.lock, re.MULTILINE)
            detail(f"Python {version[1]}, {kept}" if version else kept)
            work.environment = {
                "kind": prepared.kind,
                "python": prepared.python,
                "digest": prepared.digest,
                "built": prepared.built,
            }
            cancel()

    work.settings = planning.server_settings(
        bundle, revision, config, python=interpreter, variables=variables, models=inputs.records
    )
    # Durable, and with it whatever was written before: from here on the target may switch.
    revision = work.revision = store.update_revision(
        request.service,
        revision.number,
        bundle_digest=bundle.digest,
        environment=work.environment,
        settings=work.settings,
    )
    plan = replace(plan, revision=revision, bundle=bundle.path, python=interpreter, settings=work.settings)
    if ahead is not None:
        ahead.ready()
    endpoint = target.apply(plan, Strategy(), stages.emit, cancel)

    made_live(store, record.service, revision, endpoint.scoring_uri, endpoint.swagger_uri, endpoint.details)
    stages.state("live", scoring_uri=endpoint.scoring_uri, revision=revision.number, seconds=stages.elapsed)
    # Last: whoever waits for this finds everything else written.
    store.update_deployment(record.id, state="live", finished_time=utc_now())
    work.modules = endpoint.details.get("modules") or {}
    return "live"


def made_live(
    store: Store,
    name: str,
    revision: RevisionRecord,
    scoring_uri: str,
    swagger_uri: str,
    details: dict[str, Any],
) -> None:
    """Writes down that a revision serves now. Says the same when it is called twice."""
    passed = revision.deploy_config.get("passed", {})
    store.promote_revision(  # durable with the deployment's end, which is written next
        name,
        revision.number,
        state="Live",
        endpoint={
            "scoring_uri": scoring_uri,
            "swagger_uri": swagger_uri,
            **{key: value for key, value in details.items() if key != "modules"},
        },
        auth_enabled=passed.get("auth_enabled") is not False and passed.get("token_auth_enabled") is not True,
        updated_time=utc_now(),
        error=None,
    )


def _explain(folder: WorkspaceFolder, work: ExecutionState, failure: dict[str, Any]) -> Cause:
    return diagnose.of_failure(
        folder,
        failure,
        bundle_path=work.bundle_path,
        inference=work.request.inference_config,
        settings=work.settings,
        models=work.inputs.records if work.inputs else [],
        lock=work.lock,
    )


def _fail(store: Store, record: DeploymentRecord, work: ExecutionState, stages: Stages, cause: Cause) -> str:
    stages.fail(cause.what)
    return _end(store, record, work, stages, "failed", cause)


def _end(
    store: Store, record: DeploymentRecord, work: ExecutionState, stages: Stages, state: str, cause: Cause | None
) -> str:
    """A deployment that did not become live: the old revision, if there is one, goes on serving."""
    service = store.get_service(record.service)
    serving = service.revision if service else 0
    data = cause.to_dict() if cause else None
    if work.revision is not None:
        store.update_revision(record.service, work.revision.number, outcome="failed")
    store.update_service(record.service, state="Live" if serving else "Failed", error=data, updated_time=utc_now())
    text = cause.what if cause else "cancelled"
    stages.state(state, text, seconds=stages.elapsed, serving=serving, **({"cause": data} if data else {}))
    # Last: whoever waits for this finds everything else written.
    store.update_deployment(record.id, state=state, finished_time=utc_now(), cause=data)
    return state


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _last_seconds(folder: WorkspaceFolder, store: Store, record: DeploymentRecord) -> dict[str, float]:
    """How long each stage took in the last deployment of this service that became live."""
    for old in store.list_deployments(service=record.service, state="live", limit=2):
        if old.id != record.id:
            events = read_events(folder.deployments / old.id / JOURNAL_FILE)
            return {e.stage: e.data["seconds"] for e in events if e.kind == "finished" and "seconds" in e.data}
    return {}


def _keep_pins(store: Store, work: ExecutionState) -> None:
    """Exact pins of what a service used of the kernel's interpreter: a later target makes its environment of them."""
    if work.environment.get("kind") == "current" and work.modules and work.revision is not None:
        from mldeploy_jupyter import environments

        key = (work.environment["python"], work.environment["digest"], frozenset(work.modules))
        if key not in _pins:  # it takes a process of its own
            _pins.clear()
            _pins[key] = environments.capture(work.modules, work.environment["python"])
        pins = _pins[key]
        environment = {**work.environment, "pins": pins}
        store.update_revision(work.revision.service, work.revision.number, environment=environment)


def _archive(folder: WorkspaceFolder, deployment_id: str, journal: Path) -> None:
    """The finished journal goes with the artifacts, so that a teammate on another machine sees it too."""
    folder.open_artifacts().put_bytes(f"journals/{deployment_id}.jsonl", journal.read_bytes())


def initial_service(request: DeploymentRequest, compute_type: str, workspace_id: str, user: str) -> ServiceRecord:
    now = utc_now()
    return ServiceRecord(
        request.service,
        request.target,
        compute_type,
        workspace_id=workspace_id,
        created_time=now,
        updated_time=now,
        created_by=user,
    )
