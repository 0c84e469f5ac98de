"""The end of a deployment: its cause if it failed, and what is done once its end is recorded."""

from __future__ import annotations

import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from mldeploy_jupyter.core.errors import DeploymentCancelled, MldeployError
from mldeploy_jupyter.core.storage_errors import explain_unusable
from mldeploy_jupyter.deployment import diagnose, working_folder
from mldeploy_jupyter.deployment.execution.state import ExecutionState
from mldeploy_jupyter.deployment.files import journal_path
from mldeploy_jupyter.deployment.images.derived import name_image
from mldeploy_jupyter.deployment.outcome import record_not_live
from mldeploy_jupyter.deployment.source import snapshot
from mldeploy_jupyter.targets import TargetFailure

if TYPE_CHECKING:
    from mldeploy_jupyter.core.diagnosis import Cause
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


# The last pins that were captured, by interpreter, digest of its packages and imported modules.
_captured_pins: dict[tuple[str, str, frozenset[str]], list[str]] = {}


def record_failure(state: ExecutionState, error: Exception) -> Literal["cancelled", "failed"]:
    """Records that the deployment was cancelled or has failed, in its journal and in the store; returns which."""
    cause = None if isinstance(error, DeploymentCancelled) else _find_cause(state, error)
    outcome: Literal["cancelled", "failed"] = "cancelled" if cause is None else "failed"
    text = cause.what if cause is not None else outcome
    state.stages.fail(text)
    record_not_live(
        state.store,
        state.journal,
        state.request.service,
        state.record.id,
        outcome,
        text,
        revision=state.revision.number if state.revision else 0,
        cause=cause.to_dict() if cause is not None else None,
        seconds=state.stages.elapsed,
    )
    return outcome


def clean_up(state: ExecutionState) -> None:
    """What is left to do when the end is recorded.

    If the service was deleted since or the disk is full, that changes nothing.
    """
    folder, request = state.folder, state.request
    with suppress(MldeployError):
        snapshot.remove_snapshot(folder.deployments / state.record.id)
        working_folder.remove_unused(folder.services / request.service)
        _record_pins(state)
        if state.built_image:  # MLflow may be far away, and slow
            name_image(folder, state.inputs.records if state.inputs else [], state.built_image, remote=True)
    with suppress(MldeployError):
        archive_journal(folder, state.record.id)


def archive_journal(folder: WorkspaceFolder, deployment_id: str) -> None:
    """Puts the finished journal with the artifacts, where users of a shared store on other machines find it."""
    folder.open_artifacts().put_file(f"journals/{deployment_id}.jsonl", journal_path(folder, deployment_id))


def _find_cause(state: ExecutionState, error: Exception) -> Cause:
    from mldeploy_jupyter.environments.cache import cache_root

    if isinstance(error, TargetFailure):
        return _diagnose_failure(state, error.failure)
    # A file of the workspace or the cache may have been in the way, gone or closed.
    explained = explain_unusable(error, (state.folder.root, cache_root())) if isinstance(error, OSError) else error
    if isinstance(explained, MldeployError):
        return _diagnose_error(state, explained)
    for line in "".join(traceback.format_exception(error)).splitlines():  # a defect of ours
        state.stages.emit(state.stages.current, "log", line)
    return diagnose.diagnose_defect(error)


def _diagnose_error(state: ExecutionState, error: MldeployError) -> Cause:
    copies = snapshot.read_snapshot(state.folder.deployments / state.record.id)
    inference = state.request.inference_config
    script = copies.get(snapshot.script_name(state.request)) if copies else None
    return diagnose.diagnose_error(state.folder, error, inference, script)


def _diagnose_failure(state: ExecutionState, failure: dict[str, Any]) -> Cause:
    return diagnose.diagnose_failure(
        state.folder,
        failure,
        bundle_path=state.bundle.path if state.bundle else None,
        inference=state.request.inference_config,
        settings=state.settings,
        models=state.inputs.records if state.inputs else [],
        lock=state.lock,
    )


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
