"""A reload without a new image: changed code goes into the volume of the running container, which switches to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.bundle import builder
from mldeploy_jupyter.docker_engine import EngineError
from mldeploy_jupyter.targets.base import TargetFailure
from mldeploy_jupyter.targets.docker import control, names
from mldeploy_jupyter.targets.docker.exit_reason import describe_end
from mldeploy_jupyter.targets.docker.layout import Layout
from mldeploy_jupyter.targets.docker.live_record import LiveRecord, mark_changing, write_record
from mldeploy_jupyter.targets.docker.names import ServiceContainer
from mldeploy_jupyter.targets.docker.rollout import Rollout, require_ok
from mldeploy_jupyter.targets.process_rollout import CancelForwarder, EventForwarder


def update_in_place(rollout: Rollout, layout: Layout) -> tuple[ServiceContainer, dict[str, Any]]:
    """Makes the running container serve the code of the plan's bundle; returns the container and its answer.

    Raises:
        TargetFailure: no container runs, or the new code could not be brought up; the old code serves.
        DeploymentCancelled: it was cancelled.
    """
    plan, containers = rollout.plan, rollout.containers
    serving, events = layout.serving, EventForwarder(rollout.emit)
    if serving is None or not serving.is_running or plan.bundle is None:
        raise TargetFailure(
            {
                "code": "not-running",
                "message": "no container runs",
                "what": f"{plan.service.name} does not run, so its code cannot be replaced in place",
                "why": "its container was stopped or ended",
                "hint": f"start it with `mldeploy service start -n {plan.service.name}`, or update it",
            }
        )
    number, deployment_id = plan.revision.number, plan.revision.deployment_id
    engine, source = containers.engine, f"{names.STATE}/incoming/{deployment_id}"
    containers.put_files(serving, {f"{source}/{name}": data for name, data in read_code(plan.bundle).items()})
    mark_changing(rollout.folder, deployment_id, engine.endpoint.url)
    try:
        with CancelForwarder(
            rollout.cancel,
            lambda: control.call(
                engine, serving.id, "cancel", timeout=control.ANSWER_SECONDS, deployment_id=deployment_id
            ),
        ):
            answer = control.call(
                engine,
                serving.id,
                "deploy",
                events,
                settings=rollout.settings(),
                source=source,
                deployment_id=deployment_id,
                **({"replay": True} if plan.request.replay else {}),
            )
            require_ok(answer, events)
    except control.ContainerGone as error:
        raise TargetFailure(describe_end(containers, serving), events.stage) from error
    except EngineError as error:
        raise TargetFailure(error.failure, events.stage) from error
    record = LiveRecord(serving.id, number, deployment_id, serving.port, engine.endpoint.url)
    write_record(rollout.folder, record)
    return serving, answer


def read_code(bundle_folder: Path) -> dict[str, bytes]:
    """The files of a bundle's code, by their path below the app's root. The models in the image stay in use."""
    bundle = builder.load(bundle_folder)
    source = bundle.manifest["source_directory"]
    files = bundle.files_below(f"app/{source}/")
    return {f"{source}/{name}": (bundle.app / source / name).read_bytes() for name in files}
