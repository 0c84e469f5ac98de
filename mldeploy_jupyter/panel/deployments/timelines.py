"""One deployment as the protocol's `Timeline`: its journal folded, and what only its record knows."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.core.errors import MldeployError, WebserviceException
from mldeploy_jupyter.core.files import UNREADABLE
from mldeploy_jupyter.core.journal import Timeline, apply_event, update_elapsed
from mldeploy_jupyter.core.journal.journal import Event, parse_events
from mldeploy_jupyter.core.journal.timeline import END_STATES, StageView, StepView
from mldeploy_jupyter.core.journal.wording import describe_end, describe_stage, target_title
from mldeploy_jupyter.core.records import DeploymentRecord
from mldeploy_jupyter.core.text import one_line
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.deployments.causes import describe_timeline_cause

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


@dataclass(frozen=True)
class Deployment:
    """A deployment of a workspace. `serving` is the number of the revision that serves now, 0 for none.

    `is_last` is whether no later deployment of its service was begun.
    """

    folder: WorkspaceFolder
    record: DeploymentRecord
    serving: int = 0
    is_last: bool = True

    @property
    def running(self) -> bool:
        return self.record.state == "running"


def find_deployment(context: PanelContext, id: str, workspace: str = "", *, refresh: bool = True) -> Deployment:
    """The deployment, with `refresh` after its end was recorded if its runner died.

    Raises `WebserviceException` without one.
    """
    folder = context.folder(workspace)
    record = deployment.refresh_deployment(folder, id) if refresh else folder.open_store().get_deployment(id)
    if record is None:
        raise WebserviceException(
            f"there is no deployment {id}",
            why="it was removed by a prune, or was made in another workspace",
            hint=context.words("see what there is with `mldeploy service list`"),
            code="DeploymentNotFound",
        )
    service = folder.open_store().get_service(record.service)
    serving = service.revision if service is not None else 0
    return Deployment(folder, record, serving, service is None or service.deployment_id == id)


def open_journal(found: Deployment) -> IO[bytes]:
    """The deployment's journal: the file of this machine, else the copy that was put with the artifacts at its end.

    Empty where there is neither, as while another machine carries the deployment out.
    """
    try:
        return deployment.journal_path(found.folder, found.record.id).open("rb")
    except UNREADABLE:
        if found.running:
            return io.BytesIO()
    try:
        archived = found.folder.open_artifacts().open_file(f"journals/{found.record.id}.jsonl")
    except MldeployError:  # the artifacts are unavailable: what the record knows is shown
        archived = None
    return archived or io.BytesIO()


def answer_timeline(context: PanelContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """The answer to `deployment.timeline`."""
    return read_timeline(context, find_deployment(context, parameters["deployment"], parameters.get("workspace", "")))


def read_timeline(context: PanelContext, found: Deployment) -> dict[str, Any]:
    """The deployment as it stands."""
    timeline = first_timeline(found)
    with open_journal(found) as journal:
        apply_events(timeline, parse_events(journal))
    return describe_timeline(context, found, timeline)


def first_timeline(found: Deployment) -> Timeline:
    """What is known of a deployment before its first event."""
    record = found.record
    timeline = Timeline(
        "Updating" if found.serving else "Deploying",
        record.service,
        record.target,
        record.operation,
        record.revision,
        started=record.created_time,
    )
    push = timeline.stage("push")
    if push is not None and record.target == "local":  # until the first event brings the plan
        push.status, push.planned = "Not needed", False
    return timeline


def apply_events(timeline: Timeline, events: Iterable[Event]) -> None:
    """Brings the timeline up to date with the next events."""
    for event in events:
        if not timeline.seq:
            timeline.started = event.time or timeline.started
        apply_event(timeline, event)


def end_by_record(timeline: Timeline, record: DeploymentRecord) -> None:
    """Ends a timeline whose journal has no end, as the record says: the journal is another machine's, or was lost."""
    if timeline.ended or record.state not in END_STATES:
        return
    cause = record.cause or {}
    if not timeline.seq and record.state == "failed":
        timeline.state = "Not started"
        timeline.message = str(cause.get("what") or "")
        timeline.finished = record.finished_time
        for stage in timeline.stages:
            stage.status = "Not reached" if stage.planned else stage.status
        return
    data: dict[str, Any] = {"state": record.state, **({"cause": cause} if record.state == "failed" else {})}
    apply_event(timeline, Event(timeline.seq, record.finished_time, "", "state", str(cause.get("what") or ""), data))


def describe_timeline(context: PanelContext, found: Deployment, timeline: Timeline) -> dict[str, Any]:
    """The timeline as the protocol has it."""
    record = found.record
    end_by_record(timeline, record)
    update_elapsed(timeline, context.now())
    state = kebab_state(timeline.state)
    if not timeline.serving and not timeline.ended:
        timeline.serving = found.serving
    return {
        "deployment": record.id,
        "service": record.service,
        "workspace": found.folder.id,
        "operation": timeline.operation,
        "state": state,
        "target": timeline.target or record.target,
        "targetTitle": target_title(timeline.target or record.target),
        "revision": timeline.revision or record.revision,
        "serving": timeline.revision if state == "live" else timeline.serving,
        "message": _message(context, timeline),
        "cause": describe_timeline_cause(context, found.folder, record, timeline) if state == "failed" else None,
        "stages": [_describe_stage(stage, timeline) for stage in timeline.stages],
        "warnings": sum(stage.warnings for stage in timeline.stages),
        "lines": timeline.lines,
        "started": timeline.started or record.created_time,
        "finished": timeline.finished,
        "time": context.time(),
        "elapsedSeconds": round(timeline.elapsed, 3),
        "can": _orders(found, state),
    }


def kebab_state(state: str) -> str:
    """A state of a timeline or a stage as the protocol has it: `not-reached`."""
    return state.lower().replace(" ", "-")


def _message(context: PanelContext, timeline: Timeline) -> str:
    if timeline.state == "Not started":
        return context.words(timeline.message)
    return context.words(describe_end(timeline, context.timezone))


def _describe_stage(stage: StageView, timeline: Timeline) -> dict[str, Any]:
    return {
        "id": stage.id,
        "title": stage.title,
        "state": kebab_state(stage.status),
        "detail": describe_stage(stage, timeline),
        "seconds": stage.seconds,
        "lastSeconds": stage.last_seconds,
        "fraction": stage.fraction,
        "warnings": stage.warnings,
        "lines": stage.lines,
        **({"steps": [_describe_step(step) for step in stage.steps]} if stage.steps else {}),
    }


def _describe_step(step: StepView) -> dict[str, Any]:
    return {
        "title": one_line(step.title),
        "state": kebab_state(step.status),
        "seconds": step.seconds,
        "fraction": step.fraction,
    }


def _orders(found: Deployment, state: str) -> list[str]:
    if state in ("deploying", "updating"):
        return ["cancel"]
    if state == "live" or not found.is_last:
        return ["report"]
    return ["retry", "report"]
