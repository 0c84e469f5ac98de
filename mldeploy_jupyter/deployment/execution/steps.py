"""The stages before the target is called: check, bundle, environment and image."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mldeploy_jupyter.core.errors import WebserviceException
from mldeploy_jupyter.core.patience import retry
from mldeploy_jupyter.core.storage_errors import may_come_back
from mldeploy_jupyter.core.text import format_size
from mldeploy_jupyter.deployment import working_folder
from mldeploy_jupyter.deployment.execution import image_stage
from mldeploy_jupyter.deployment.execution.state import ExecutionState
from mldeploy_jupyter.deployment.images import image
from mldeploy_jupyter.deployment.images.derived import name_image
from mldeploy_jupyter.deployment.plan import Inputs, collect_inputs, make_bundle
from mldeploy_jupyter.deployment.services.engines import engine_of
from mldeploy_jupyter.deployment.source import snapshot
from mldeploy_jupyter.targets import Plan, Target

if TYPE_CHECKING:
    from mldeploy_jupyter.core.bundle.builder import Bundle


Result = TypeVar("Result")


def check(state: ExecutionState, target: Target, plan: Plan) -> tuple[Inputs, Plan]:
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


def build_bundle(state: ExecutionState, inputs: Inputs, app: Path | None) -> Bundle:
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
    if app.parent.exists():  # left by an attempt that ended when its disk became unavailable
        shutil.rmtree(app.parent)
    working_folder.create(bundle, state.folder.open_artifacts(), app, check=state.cancel)


def _wait_for_disk(state: ExecutionState, step: Callable[[], Result]) -> Result:
    """The result of `step`, which is run again when the workspace's disk has come back."""
    return retry(step, lambda error: may_come_back(error, state.folder.root), "the workspace's folder")


def prepare_environment(state: ExecutionState, inputs: Inputs) -> str:
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


def make_image(state: ExecutionState, inputs: Inputs) -> image.MadeImage:
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
    """The `Emit` that `environments` reports with: it does not know which stage is open."""

    def emit(kind: str, text: str = "", **data: Any) -> None:
        state.stages.emit(state.stages.current, kind, text, **data)

    return emit


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
