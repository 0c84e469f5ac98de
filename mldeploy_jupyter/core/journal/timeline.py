"""The timeline of a deployment: what its journal adds up to. Every view of a deployment draws a `Timeline`.

`fold` makes one from all events; `apply_event` and `update_elapsed` bring one up to date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mldeploy_jupyter.core.journal.journal import STAGES, Event

LOG_KEPT = 1000  # lines a stage; the journal has them all

# The words of a deployment's end, by `data["state"]`.
END_WORDS = {"live": "Live", "failed": "Failed", "cancelled": "Cancelled", "interrupted": "Interrupted"}


@dataclass
class StageView:
    """One stage. `status`: Waiting, Running, Done, Failed, Cancelled, Interrupted, Not reached or Not needed.

    `planned` is False for a stage that the deployment's plan leaves out, such as an image for a local service.
    `seconds` is its duration, or how long it has run; `last_seconds` how long it took last time; None when
    unknown. `fraction` (0 to 1) is there while it runs and tells. `log` holds the last raw lines of `log_count`.
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
    log_count: int = 0
    started: str = ""
    planned: bool = True


@dataclass
class Timeline:
    """A deployment as it stands. `state`: Not started, Deploying, Updating, Live, Failed, Cancelled or Interrupted.

    `cause` is the failure's `Cause` as data. `message` is the text of the last state. `serving` is the revision
    that serves meanwhile or still, 0 when there is none or nobody said. `elapsed` is in seconds. `started` and
    `finished` are the journal's times, "" before. `seq` is the last event's.
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
    stages: list[StageView] = field(default_factory=lambda: [StageView(*item) for item in STAGES.items()])
    log: list[str] = field(default_factory=list)  # lines of no stage
    elapsed: float = 0.0
    started: str = ""
    finished: str = ""
    seq: int = 0

    @property
    def ended(self) -> bool:
        return self.state in END_WORDS.values()

    @property
    def running_stage(self) -> StageView | None:
        return next((stage for stage in self.stages if stage.status == "Running"), None)

    @property
    def shown_stages(self) -> list[StageView]:
        """The stages worth a line: those of the plan, and what ran nevertheless."""
        return [stage for stage in self.stages if stage.planned or stage.status != "Not needed"]

    def stage(self, stage_id: str) -> StageView | None:
        return next((stage for stage in self.stages if stage.id == stage_id), None)


def fold(events: Iterable[Event], now: datetime | None = None, previous: Mapping[str, float] | None = None) -> Timeline:
    """The timeline after these events.

    `now` counts a running deployment's time up to it; without it time stands at the last event. `previous` says
    how many seconds each stage took last time and beats what the journal says of it.
    """
    timeline, last = Timeline(), None
    for event in events:
        apply_event(timeline, event)
        last = event
    for stage in timeline.stages:
        stage.last_seconds = (previous or {}).get(stage.id, stage.last_seconds)
    moment = now or (_time(last.time) if last else None)
    if moment is not None:
        update_elapsed(timeline, moment)
    return timeline


def apply_event(timeline: Timeline, event: Event) -> None:
    """Brings the timeline up to date with the next event. Events and stages it does not know change nothing."""
    timeline.seq = event.seq
    timeline.started = timeline.started or event.time
    if event.kind == "state" or (event.kind == "failed" and not event.stage):
        _apply_state(timeline, event)
        return
    stage = timeline.stage(event.stage)
    if event.kind == "log":
        _keep(timeline.log if stage is None else stage.log, event.text)
        if stage is not None:
            stage.log_count += 1
            stage.warnings += event.data.get("level") == "warning"
    elif stage is None:
        return
    elif event.kind == "started":
        stage.status, stage.started, stage.detail = "Running", event.time, event.text
        stage.seconds = stage.fraction = None
    elif event.kind == "progress":
        stage.detail = event.text or stage.detail
        stage.fraction = _number(event.data.get("fraction"), stage.fraction)
    elif event.kind in ("finished", "failed"):
        skipped = event.kind == "finished" and event.data.get("skipped")
        stage.status = "Failed" if event.kind == "failed" else "Not needed" if skipped else "Done"
        stage.detail = event.text or (stage.detail if event.kind == "failed" else "")
        if event.kind == "failed" and event.text == "cancelled":  # by the user: nothing went wrong
            stage.status, stage.detail = "Cancelled", ""
        stage.fraction = None
        stage.seconds = _number(event.data.get("seconds"), _between(stage.started, event.time))
        if event.kind == "failed":
            timeline.cause = _cause(event) or timeline.cause


def update_elapsed(timeline: Timeline, now: datetime) -> None:
    """Moves a running deployment's clock to `now` (with a time zone). Wall clocks may jump: never below zero."""
    if timeline.ended or not timeline.started:
        return
    timeline.elapsed = _between(timeline.started, now) or 0.0
    for stage in timeline.stages:
        if stage.status == "Running":
            stage.seconds = _between(stage.started, now)


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
    elif state in END_WORDS:
        timeline.state = END_WORDS[state]
        timeline.finished = event.time
        timeline.elapsed = _number(data.get("seconds"), _between(timeline.started, event.time)) or 0.0
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
    # A journal that a dead runner left is continued: its stages start over.
    timeline.stages = [
        StageView(
            stage_id,
            str(titles.get(stage_id, title)),
            "Waiting" if stage_id in needed else "Not needed",
            last_seconds=_number(last.get(stage_id), None),
            planned=stage_id in needed,
        )
        for stage_id, title in STAGES.items()
    ]


def _end_stages(timeline: Timeline, event: Event) -> None:
    for stage in timeline.stages:
        if stage.status == "Running":
            stage.status = "Done" if timeline.state == "Live" else timeline.state
            stage.seconds = _between(stage.started, event.time)
            stage.fraction = None
        elif stage.status == "Waiting":
            stage.status = "Not needed" if timeline.state == "Live" else "Not reached"


def _cause(event: Event) -> dict[str, Any] | None:
    cause = event.data.get("cause")
    return cause if isinstance(cause, dict) else None


def _keep(log: list[str], line: str) -> None:
    log.append(line)
    if len(log) > 2 * LOG_KEPT:
        del log[:-LOG_KEPT]


def _number(value: Any, default: float | None) -> float | None:
    # A damaged journal may hold NaN, infinity or an integer that no float can hold.
    usable = isinstance(value, int | float) and abs(value) < 1e300
    return float(value) if usable else default


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _between(start: str, end: str | datetime) -> float | None:
    first, last = _time(start), _time(end) if isinstance(end, str) else end
    return max(0.0, (last - first).total_seconds()) if first is not None and last is not None else None


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
