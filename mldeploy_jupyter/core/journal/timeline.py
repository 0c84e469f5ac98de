"""The timeline of a deployment: what its journal adds up to. Every view of a deployment draws a `Timeline`.

`fold` makes one from all events; `apply_event` and `update_elapsed` bring one up to date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mldeploy_jupyter.core.journal.journal import STAGES, Event

LOG_LINES_KEPT = 1000  # at least, of each stage; the journal has all of them

# The states in which a deployment ends, by `data["state"]` of their event.
END_STATES = {"live": "Live", "failed": "Failed", "cancelled": "Cancelled", "interrupted": "Interrupted"}


@dataclass
class StepView:
    """One step of a stage, such as a step of an image's build. The fields mean the same as those of `StageView`."""

    title: str
    status: str = "Running"
    fraction: float | None = None
    seconds: float | None = None
    started: str = ""


@dataclass
class StageView:
    """One stage. `status`: Waiting, Running, Done, Failed, Cancelled, Interrupted, Not reached or Not needed.

    `planned` is False for a stage that the deployment's plan leaves out, such as an image for a local service.
    `seconds` is its duration, or how long it has run so far; `last_seconds` how long it took in the last deployment;
    each is None when unknown. `fraction` (0 to 1) is the progress of a running stage that reports it. `log` holds its
    last lines of output, raw, and `lines` counts all of them. `steps` are those that it told of, in their order.
    """

    id: str
    title: str
    status: str = "Waiting"
    detail: str = ""
    seconds: float | None = None
    last_seconds: float | None = None
    fraction: float | None = None
    warnings: int = 0
    log: list[str] = field(default_factory=list)
    started: str = ""
    planned: bool = True
    lines: int = 0
    steps: list[StepView] = field(default_factory=list)


@dataclass
class Timeline:
    """A deployment as it stands. `state`: Not started, Deploying, Updating, Live, Failed, Cancelled or Interrupted.

    `cause` is the failure's `Cause` as data. `message` is the text of the last state. `serving` is the number of the
    revision that serves while this one is deployed, 0 when there is none or it is unknown. `elapsed` is in seconds.
    `started` and `finished` are times from the journal, "" before. `seq` is the last event's. `lines` counts the lines
    of the whole log.
    """

    state: str = "Not started"
    service: str = ""
    target: str = ""
    operation: str = "deploy"
    revision: int = 0
    serving: int = 0
    scoring_uri: str = ""
    message: str = ""
    cause: dict[str, Any] | None = None
    stages: list[StageView] = field(default_factory=lambda: [StageView(name, STAGES[name]) for name in _shown(())])
    log: list[str] = field(default_factory=list)  # lines that belong to no stage
    elapsed: float = 0.0
    started: str = ""
    finished: str = ""
    seq: int = 0
    lines: int = 0

    @property
    def ended(self) -> bool:
        return self.state in END_STATES.values()

    @property
    def shown_stages(self) -> list[StageView]:
        """The stages that get a line: those of the plan, and any other that ran nevertheless."""
        return [stage for stage in self.stages if stage.planned or stage.status != "Not needed"]

    def stage(self, stage_id: str) -> StageView | None:
        return next((stage for stage in self.stages if stage.id == stage_id), None)


def fold(events: Iterable[Event], now: datetime | None = None, previous: Mapping[str, float] | None = None) -> Timeline:
    """The timeline after these events.

    A running deployment's time counts up to `now`, by default the last event. `previous` has the seconds that each
    stage took in the last deployment, and overrides what the journal says of it.
    """
    timeline, last = Timeline(), None
    for event in events:
        apply_event(timeline, event)
        last = event
    for stage in timeline.stages:
        stage.last_seconds = (previous or {}).get(stage.id, stage.last_seconds)
    now = now or (_parse_time(last.time) if last else None)
    if now is not None:
        update_elapsed(timeline, now)
    return timeline


def apply_event(timeline: Timeline, event: Event) -> None:
    """Brings the timeline up to date with the next event. Unknown kinds and stages change nothing."""
    timeline.seq = event.seq
    timeline.started = timeline.started or event.time
    stage = timeline.stage(event.stage)
    if event.kind == "state" or (event.kind == "failed" and not event.stage):
        _apply_state(timeline, event)
    elif event.kind == "log":
        timeline.lines += 1
        _append_line(timeline.log if stage is None else stage.log, event.text)
        if stage is not None:
            stage.lines += 1
            stage.warnings += event.data.get("level") == "warning"
    elif stage is not None:
        _apply_to_stage(stage, event)
        if event.kind == "failed":
            timeline.cause = _cause(event) or timeline.cause


def update_elapsed(timeline: Timeline, now: datetime) -> None:
    """Sets a running deployment's times as of `now`, which has a time zone. Wall clocks may jump: never below zero."""
    if timeline.ended or not timeline.started:
        return
    timeline.elapsed = _seconds_between(timeline.started, now) or 0.0
    for stage in timeline.stages:
        if stage.status == "Running":
            stage.seconds = _seconds_between(stage.started, now)
            for step in stage.steps:
                if step.status == "Running":
                    step.seconds = _seconds_between(step.started, now)


def _apply_to_stage(stage: StageView, event: Event) -> None:
    if event.kind == "started":
        stage.status, stage.started, stage.detail = "Running", event.time, event.text
        stage.seconds = stage.fraction = None
        stage.steps = []
    elif event.kind == "progress":
        _apply_step(stage, event)
        stage.detail = event.text or stage.detail
        stage.fraction = _number(event.data.get("fraction"), stage.fraction)
    elif event.kind == "finished":
        stage.status = "Not needed" if event.data.get("skipped") else "Done"
        stage.detail = event.text
        _set_duration(stage, event)
    elif event.kind == "failed" and event.text == "cancelled":  # by the user: nothing went wrong
        stage.status, stage.detail = "Cancelled", ""
        _set_duration(stage, event)
    elif event.kind == "failed":
        stage.status, stage.detail = "Failed", event.text or stage.detail
        _set_duration(stage, event)


def _apply_step(stage: StageView, event: Event) -> None:
    """Updates the step that a progress event names, or begins it, which ends the step before."""
    title = event.data.get("step")
    if not isinstance(title, str) or not title:
        return
    step = next((step for step in stage.steps if step.title == title), None)
    if step is None:
        _end_steps(stage, "Done", event.time)
        step = StepView(title, started=event.time)
        stage.steps.append(step)
    step.fraction = _number(event.data.get("fraction"), step.fraction)


def _end_steps(stage: StageView, status: str, time: str) -> None:
    for step in stage.steps:
        if step.status == "Running":
            step.status, step.fraction = status, None
            step.seconds = _seconds_between(step.started, time)


def _set_duration(stage: StageView, event: Event) -> None:
    _end_steps(stage, "Done" if stage.status == "Not needed" else stage.status, event.time)
    stage.fraction = None
    stage.seconds = _number(event.data.get("seconds"), _seconds_between(stage.started, event.time))


def _apply_state(timeline: Timeline, event: Event) -> None:
    data = event.data
    timeline.service = str(data.get("service", timeline.service))
    timeline.target = str(data.get("target", timeline.target))
    timeline.operation = str(data.get("operation", timeline.operation))
    timeline.revision = int(_number(data.get("revision"), timeline.revision) or 0)
    timeline.serving = int(_number(data.get("serving"), timeline.serving) or 0)
    timeline.scoring_uri = str(data.get("scoring_uri", timeline.scoring_uri))
    timeline.message = event.text or timeline.message
    state = "failed" if event.kind == "failed" else str(data.get("state", ""))
    if state == "running":
        _apply_start(timeline, event)
    elif state in END_STATES:
        timeline.state = END_STATES[state]
        timeline.finished = event.time
        timeline.elapsed = _number(data.get("seconds"), _seconds_between(timeline.started, event.time)) or 0.0
        if state == "failed":
            timeline.cause = _cause(event) or timeline.cause or {"what": event.text or "The deployment failed"}
        _end_stages(timeline, event)


def _apply_start(timeline: Timeline, event: Event) -> None:
    data = event.data
    timeline.state = "Updating" if timeline.operation in ("update", "rollback") else "Deploying"
    timeline.cause, timeline.finished = None, ""
    titles, last = _mapping(data.get("titles")), _mapping(data.get("last_seconds"))
    needed = data.get("stages")
    if not isinstance(needed, list):
        return
    # A journal may have a second start, after a runner that died: the stages begin again.
    timeline.stages = [
        StageView(
            stage_id,
            str(titles.get(stage_id, title)),
            "Waiting" if stage_id in needed else "Not needed",
            last_seconds=_number(last.get(stage_id), None),
            planned=stage_id in needed,
        )
        for stage_id, title in STAGES.items()
        if stage_id in _shown(needed)
    ]


def _shown(needed: Iterable[Any]) -> list[str]:
    """The stages that have a row, for a plan that needs these: an image takes the place of the environment."""
    hidden = "environment" if "image" in needed and "environment" not in needed else "image"
    return [name for name in STAGES if name != hidden or name in needed]


def _end_stages(timeline: Timeline, event: Event) -> None:
    for stage in timeline.stages:
        if stage.status == "Running":
            stage.status = "Done" if timeline.state == "Live" else timeline.state
            stage.seconds = _seconds_between(stage.started, event.time)
            _end_steps(stage, stage.status, event.time)
            stage.fraction = None
        elif stage.status == "Waiting":
            stage.status = "Not needed" if timeline.state == "Live" else "Not reached"


def _cause(event: Event) -> dict[str, Any] | None:
    cause = event.data.get("cause")
    return cause if isinstance(cause, dict) else None


def _append_line(log: list[str], line: str) -> None:
    log.append(line)
    if len(log) > 2 * LOG_LINES_KEPT:  # cut seldom, as deleting from the front moves the rest
        del log[:-LOG_LINES_KEPT]


def _number(value: Any, default: float | None) -> float | None:
    # A damaged journal may hold NaN, infinity or an integer that no float can hold.
    usable = isinstance(value, int | float) and abs(value) < 1e300
    return float(value) if usable else default


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _seconds_between(start: str, end: str | datetime) -> float | None:
    first, last = _parse_time(start), _parse_time(end) if isinstance(end, str) else end
    return max(0.0, (last - first).total_seconds()) if first is not None and last is not None else None


def _parse_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
