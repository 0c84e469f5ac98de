"""Carries one deployment out, from its check to the switch of traffic, and records how far it came.

`run_deployment` runs in the detached runner or, for an update of a local service or of a container's code, in a thread
of the caller.
"""

from __future__ import annotations

import re
import shutil
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mldeploy_jupyter.core.errors import DeploymentCancelled, MldeployError, WebserviceException
from mldeploy_jupyter.core.journal.journal import STAGES, Journal, read_events
from mldeploy_jupyter.core.patience import RUNNER_SECONDS, patience, retry
from mldeploy_jupyter.core.records import DeploymentRecord, DeploymentRequest, RevisionRecord, utc_now
from mldeploy_jupyter.core.storage_errors import explain_unusable, may_come_back
from mldeploy_jupyter.core.text import format_size
from mldeploy_jupyter.deployment import diagnose, image_stage, prewarm, working_folder
from mldeploy_jupyter.deployment.files import cancel_path, journal_path
from mldeploy_jupyter.deployment.images import image
from mldeploy_jupyter.deployment.images.derived import name_image
from mldeploy_jupyter.deployment.lease import Heartbeat
from mldeploy_jupyter.deployment.outcome import record_live, record_not_live
from mldeploy_jupyter.deployment.plan import (
    Inputs,
    collect_inputs,
    image_settings,
    make_bundle,
    server_settings,
    target_context,
)
from mldeploy_jupyter.deployment.services.engines import engine_of, moved_from
from mldeploy_jupyter.deployment.source import imported_files, snapshot
from mldeploy_jupyter.deployment.stages import Stages
from mldeploy_jupyter.targets import Cancel, Plan, Strategy, Target, TargetFailure, open_target

if TYPE_CHECKING:
    from mldeploy_jupyter.core.bundle.builder import Bundle
    from mldeploy_jupyter.core.diagnosis import Cause
    from mldeploy_jupyter.core.store.store import Store
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


Result = TypeVar("Result")

# The last pins that were captured, by interpreter, digest of its packages and imported modules.
_captured_pins: dict[tuple[str, str, frozenset[str]], list[str]] = {}


@dataclass
class ExecutionState:
    """A deployment under way. The fields below the first group are filled by the stages, as far as they came."""

    folder: WorkspaceFolder
    store: Store
    record: DeploymentRecord
    request: DeploymentRequest
    journal: Journal
    stages: Stages
    cancel: Cancel  # raises when the deployment was cancelled or its lease lost
    secrets: dict[str, str]

    revision: RevisionRecord | None = None
    inputs: Inputs | None = None
    bundle: Bundle | None = None
    clients: dict[str, Any] = field(default_factory=dict)
    lock: str = ""  # text of the environment's lock
    environment: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    built_image: str = ""  # the name of the image that was made
    modules: dict[str, str] = field(default_factory=dict)  # what the service had imported after init() and the sample


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
    A store that is away is waited for, and the journal says so.
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
        except DeploymentCancelled:
            outcome = _end_cancelled(state)
        except TargetFailure as failure:
            outcome = _end_failed(state, _diagnose(state, failure.failure))
        except MldeployError as error:
            outcome = _end_failed(state, _diagnose_error(state, error))
        except OSError as error:
            outcome = _end_failed(state, _diagnose_os_error(state, error))
        except Exception as error:  # a defect of ours, so the journal gets the whole traceback
            outcome = _end_failed(state, _diagnose_defect(state, error))
        journal.close()
        if end is not None:
            end.set()
        # The deployment has ended. If the service was deleted since or the disk is full, that changes nothing.
        with suppress(MldeployError):
            snapshot.remove_snapshot(folder.deployments / deployment_id)
            working_folder.remove_unused(folder.services / request.service)
            _record_pins(state)
            if state.built_image:  # MLflow may be far away, and slow
                name_image(folder, state.inputs.records if state.inputs else [], state.built_image, remote=True)
        with suppress(MldeployError):
            _archive_journal(folder, deployment_id)
    return outcome


def _diagnose_os_error(state: ExecutionState, error: OSError) -> Cause:
    """The cause when a file of the workspace or the cache was in the way, gone or closed; else it is a defect."""
    from mldeploy_jupyter.environments.cache import cache_root

    explained = explain_unusable(error, (state.folder.root, cache_root()))
    return _diagnose_error(state, explained) if explained is not None else _diagnose_defect(state, error)


def _diagnose_defect(state: ExecutionState, error: Exception) -> Cause:
    for line in "".join(traceback.format_exception(error)).splitlines():
        state.stages.emit(state.stages.current, "log", line)
    return diagnose.diagnose_defect(error)


def _diagnose_error(state: ExecutionState, error: MldeployError) -> Cause:
    copies = snapshot.read_snapshot(state.folder.deployments / state.record.id)
    inference = state.request.inference_config
    script = copies.get(snapshot.script_name(state.request)) if copies else None
    return diagnose.diagnose_error(state.folder, error, inference, script)


def _cancel_check(folder: WorkspaceFolder, deployment_id: str, lease: Heartbeat) -> Cancel:
    cancel_file = cancel_path(folder, deployment_id)

    def raise_if_cancelled() -> None:
        if cancel_file.exists() or lease.cancelled.is_set():
            raise DeploymentCancelled("the deployment was cancelled")
        if lease.lost.is_set():
            raise WebserviceException(
                "the right to change the service was lost",
                why="this machine was asleep or away from the store, and another operation took over",
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
    inputs, plan = _check(state, target, Plan(request, service, revision, secrets=secrets))
    app = working_folder.working_folder(state.folder.services / request.service, revision.number)
    # An image that is deployed as it is has all that a bundle has.
    bundle = None if request.image else _build_bundle(state, inputs, app if target.capabilities.needs_python else None)
    python = _prepare_environment(state, inputs) if target.capabilities.needs_python else ""
    made = _make_image(state, inputs) if target.capabilities.needs_image else None
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
        # A container that only gets other code goes on in its image.
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


def _check(state: ExecutionState, target: Target, plan: Plan) -> tuple[Inputs, Plan]:
    request, stages = state.request, state.stages
    folder = state.folder.deployments / state.record.id
    with stages.stage("check") as set_detail:
        inputs = state.inputs = collect_inputs(
            request,
            state.folder,
            state.store,
            snapshot.read_snapshot(folder),
            needs_image=target.capabilities.needs_image,
        )
        plan = replace(plan, config=inputs.config.resolve())
        details = [_count(len(request.models), "model")] if request.models else []
        if inputs.config.passed.get("engine") == "auto":
            details.append(f"engine {engine_of(request.target)}, chosen by auto")
        for finding in target.check(plan):
            stages.emit("check", "log", f"{finding.level}: {finding.what}", level=finding.level)
            if finding.level == "error":
                raise WebserviceException(finding.what, why=finding.why, hint=finding.hint, code=finding.code)
            details.append(finding.what)
        set_detail("; ".join(details))
        state.cancel()
    return inputs, plan


def _build_bundle(state: ExecutionState, inputs: Inputs, app: Path | None) -> Bundle:
    """Locks the environment, whose lock is part of the bundle, and builds the bundle.

    `app` is the working folder to make from it; None for a target whose services do not run in a folder of ours.
    """
    from mldeploy_jupyter import environments

    with state.stages.stage("bundle") as set_detail:
        python = ""
        existing_lock = inputs.existing_bundle.path / "environment.lock" if inputs.existing_bundle else None
        if inputs.lock:
            state.lock, python = inputs.lock, inputs.python
        elif inputs.environment is not None:
            if existing_lock is not None and existing_lock.exists():
                state.lock = existing_lock.read_text()
            else:
                locked = environments.lock(
                    inputs.environment,
                    kernel_python=state.request.kernel_python,
                    emit=_environment_emit(state),
                    cancel=state.cancel,
                )
                state.lock, python = locked.text, locked.python_version
        bundle = _wait_for_disk(
            state, lambda: make_bundle(inputs, state.folder, lock=state.lock, python=python, check=state.cancel)
        )
        state.bundle = bundle
        if app is not None:
            working_folder.remove_unused(app.parent.parent.parent)
            _wait_for_disk(state, lambda: _make_working_folder(state, bundle, app))
        sizes = {path: size for path, (_digest, size) in bundle.manifest["files"].items()}
        own = sum(not path.startswith("server/") for path in sizes)  # script, helpers, models
        set_detail(f"{_count(own, 'file')} and the server, {format_size(sum(sizes.values()))}, {bundle.digest[:8]}")
        state.cancel()
    return bundle


def _make_working_folder(state: ExecutionState, bundle: Bundle, app: Path) -> None:
    if app.parent.exists():  # of an attempt that a disk ended, which went away
        shutil.rmtree(app.parent)
    working_folder.create(bundle, state.folder.open_artifacts(), app, check=state.cancel)


def _wait_for_disk(state: ExecutionState, step: Callable[[], Result]) -> Result:
    """The result of `step`, which is run again when the workspace's disk has come back."""
    return retry(step, lambda error: may_come_back(error, state.folder.root), "the workspace's folder")


def _prepare_environment(state: ExecutionState, inputs: Inputs) -> str:
    """Builds the environment, or finds it, and returns the path of its interpreter."""
    from mldeploy_jupyter import environments

    with state.stages.stage("environment") as set_detail:
        prepared = environments.prepare(
            inputs.environment,
            kernel_python=state.request.kernel_python,
            emit=_environment_emit(state),
            cancel=state.cancel,
            known_lock=state.lock or None,
        )
        state.lock = prepared.lock
        state.environment = {
            "kind": prepared.kind,
            "python": prepared.python,
            "digest": prepared.digest,
            "built": prepared.built,
        }
        how = "used as it is" if prepared.kind == "current" else "built" if prepared.built else "already built"
        version = re.search(r"^# python ([\d.]+)", prepared.lock, re.MULTILINE)
        set_detail(f"Python {version[1]}, {how}" if version else how)
        state.cancel()
    return prepared.python


def _make_image(state: ExecutionState, inputs: Inputs) -> image.MadeImage:
    """Builds the revision's image, or finds it."""
    assert state.revision is not None
    state.environment = {"kind": "image", "python": state.request.kernel_python, "digest": ""}
    with state.stages.stage("image") as set_detail:
        stage = image_stage.ImageStage(
            state.folder,
            state.store,
            state.request,
            inputs,
            state.lock,
            state.stages.emit,
            state.cancel,
            state.clients,
            state.secrets.get(image.REGISTRY_PASSWORD, ""),
        )
        made, detail = stage.find_image() if state.bundle is None else stage.make_image(state.bundle, state.revision)
        set_detail(detail)
        if stage.has_built:
            state.built_image = made.reference
            name_image(state.folder, inputs.records, made.reference, remote=False)
        state.cancel()
    return made


def _environment_emit(state: ExecutionState) -> Callable[..., None]:
    """What the environments room reports with: it does not know which stage is open."""

    def emit(kind: str, text: str = "", **data: Any) -> None:
        state.stages.emit(state.stages.current, kind, text, **data)

    return emit


def _diagnose(state: ExecutionState, failure: dict[str, Any]) -> Cause:
    return diagnose.diagnose_failure(
        state.folder,
        failure,
        bundle_path=state.bundle.path if state.bundle else None,
        inference=state.request.inference_config,
        settings=state.settings,
        models=state.inputs.records if state.inputs else [],
        lock=state.lock,
    )


def _end_failed(state: ExecutionState, cause: Cause) -> str:
    state.stages.fail(cause.what)
    record_not_live(
        state.store,
        state.journal,
        state.request.service,
        state.record.id,
        "failed",
        cause.what,
        revision=state.revision.number if state.revision else 0,
        cause=cause.to_dict(),
        seconds=state.stages.elapsed,
    )
    return "failed"


def _end_cancelled(state: ExecutionState) -> str:
    state.stages.fail("cancelled")
    record_not_live(
        state.store,
        state.journal,
        state.request.service,
        state.record.id,
        "cancelled",
        "cancelled",
        revision=state.revision.number if state.revision else 0,
        seconds=state.stages.elapsed,
    )
    return "cancelled"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _last_durations(state: ExecutionState) -> dict[str, float]:
    """The seconds that each stage took in the last deployment of this service that became live."""
    for record in state.store.list_deployments(service=state.request.service, state="live", limit=2):
        if record.id != state.record.id:
            events = read_events(journal_path(state.folder, record.id))
            return {e.stage: e.data["seconds"] for e in events if e.kind == "finished" and "seconds" in e.data}
    return {}


def _record_pins(state: ExecutionState) -> None:
    """Records exact versions of the packages that a service used of the kernel's own environment.

    From these, a later deployment to another target builds an environment of its own.
    """
    if state.environment.get("kind") != "current" or not state.modules or state.revision is None:
        return
    from mldeploy_jupyter import environments

    python = state.environment["python"]
    key = (python, state.environment["digest"], frozenset(state.modules))
    if key not in _captured_pins:  # capturing starts an interpreter, so the last result is kept
        _captured_pins.clear()
        _captured_pins[key] = environments.capture(state.modules, python)
    environment = {**state.environment, "pins": _captured_pins[key]}
    state.store.update_revision(state.revision.service, state.revision.number, environment=environment)


def _archive_journal(folder: WorkspaceFolder, deployment_id: str) -> None:
    """Puts the finished journal with the artifacts, where users of a shared store on other machines find it."""
    folder.open_artifacts().put_file(f"journals/{deployment_id}.jsonl", journal_path(folder, deployment_id))
