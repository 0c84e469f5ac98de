"""The protocol of a target, which runs services, and the plain data that goes in and out.

Another package adds a target through the entry-point group `mldeploy_jupyter.targets` and tests it with
`mldeploy_jupyter.testing.TargetConformance`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mldeploy_jupyter.core.records import DeploymentRequest, RevisionRecord, ServiceRecord

if TYPE_CHECKING:
    from mldeploy_jupyter.serving.system.lock_holder import Processes

Action = Literal["start", "stop", "restart", "regen_keys"]

# Called between and during steps. Raises `DeploymentCancelled` when the deployment was cancelled, and another
# error when it must stop for another reason.
Cancel = Callable[[], None]


class Emit(Protocol):
    """Writes one event of a stage to the journal: `emit("rollout", "log", "text", **data)`; see `core.journal.Event`.

    A target opens and closes its stages itself, with the kinds `started` and `finished`.
    """

    def __call__(self, stage: str, kind: str, text: str = "", **data: Any) -> Any: ...


@dataclass(frozen=True)
class Capabilities:
    """What a target can do, and what a deployment must prepare for it."""

    stop: bool = False  # services can be stopped and started again
    needs_image: bool = False  # a container image is built first
    needs_registry: bool = False  # and pushed to a registry, which the target pulls from
    needs_python: bool = False  # services run in a Python environment on this machine, which is built first


@dataclass(frozen=True)
class Plan:
    """A request with everything that a target needs to bring the revision up.

    `bundle` is the bundle's folder, `python` the interpreter, `image` the image's id, or its name with a digest: ""
    where the target needs none, or continues with the one that it runs. `receipt` says what the image was made of.
    `config` is the deploy configuration with its defaults, `settings` are those of the scoring server
    (`serving/settings.py`). `secrets` never go into a journal.
    """

    request: DeploymentRequest
    service: ServiceRecord
    revision: RevisionRecord
    bundle: Path | None = None
    python: str = ""
    image: str = ""
    receipt: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Finding:
    """A result of `Target.check`. An `error` ends the deployment before anything is built."""

    level: Literal["error", "warning"]
    what: str
    why: str = ""
    hint: str = ""
    code: str = "CheckFailed"


@dataclass(frozen=True)
class Strategy:
    """How traffic moves to the new revision. `probes` is the number of successive good answers required before."""

    kind: Literal["switch", "canary"] = "switch"
    probes: int = 1


@dataclass(frozen=True)
class Endpoint:
    """Where a service answers. `details` is the target's own data, such as the port and the pid."""

    scoring_uri: str
    swagger_uri: str
    details: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The endpoint as a service's record has it."""
        return {"scoring_uri": self.scoring_uri, "swagger_uri": self.swagger_uri, **self.details}


@dataclass(frozen=True)
class ServiceStatus:
    """What the target reports now.

    `state` is Live, Unhealthy, Stopped, Failed, or Absent when the target has no such service. `revision` is the
    number of the revision that serves, `deployment_id` the deployment that made it live: from these a deployment whose
    runner died is found to have succeeded. `failure` is the last failure as data.
    """

    state: str
    revision: int = 0
    deployment_id: str = ""
    endpoint: Endpoint | None = None
    failure: dict[str, Any] | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LogLine:
    """An entry of a log. `text` is for people, and has several lines where there is a traceback.

    `source` names the replica or worker. For targets that keep entries as data, `level` is info, warning or error,
    `request_ids` are the requests it belongs to, and `entry` is all of it, as in `docs/guides/logs-metrics-traces.md`.
    `number` is that of its first line in a `NumberedLog`, where each further line has the next number; else 0.
    """

    time: str
    source: str
    text: str
    level: str = ""
    request_ids: tuple[str, ...] = ()
    entry: dict[str, Any] = field(default_factory=dict)
    number: int = 0


class NumberedLog(Protocol):
    """A service's log whose lines have numbers that never change and never repeat.

    A target may have a method `open_log(service)` that returns one; it must be safe to use from several threads.
    """

    def signature(self) -> Any:
        """Changes when something was written. Cheap enough to be asked every second."""
        ...

    def refresh(self) -> None:
        """Finds out what was written; all else is about what was there then."""
        ...

    @property
    def first(self) -> int:
        """The number of the oldest line that is kept, 0 without one."""
        ...

    @property
    def last(self) -> int:
        """The number of the newest line, 0 without one."""
        ...

    def before_last(self, count: int) -> int:
        """The number after which the last `count` lines come."""
        ...

    def count_until(self, number: int) -> int:
        """How many lines have at most this number. May take long, unlike the others."""
        ...

    def entries(self, after: int = 0, may_match: Callable[[bytes], bool] | None = None) -> Iterator[LogLine]:
        """The entries that have a line with a higher number than `after`, oldest first.

        A log that is kept as lines of JSON (`docs/guides/logs-metrics-traces.md`) may leave out those for which
        `may_match` is false of the line; any other ignores it.
        """
        ...


@dataclass(frozen=True)
class TargetContext:
    """What a target is opened with.

    `services` is the workspace's folder for the files of services on this machine. `clients` are the client objects
    that the caller handed in (a Docker client, a Kubernetes API, ...), by name. `processes` are the machine's, for a
    target that is asked about many services at one moment; None where it looks at them itself.
    """

    workspace_id: str
    services: Path
    clients: dict[str, Any] = field(default_factory=dict)
    processes: Processes | None = None


class Target(Protocol):
    """Runs services. A target is constructed with one argument, its `TargetContext`."""

    capabilities: Capabilities

    def check(self, plan: Plan) -> list[Finding]:
        """Whether the plan can work here, found out before anything is built. May raise `TargetFailure`."""
        ...

    def apply(self, plan: Plan, strategy: Strategy, emit: Emit, cancel: Cancel) -> Endpoint:
        """Creates, updates or rolls back. Idempotent: after a crash, a second call completes the work.

        Opens and closes the stages `rollout`, `probe` and `switch`.

        Raises:
            TargetFailure: the revision could not be brought up; the old one still serves.
            DeploymentCancelled: `cancel` raised it, and the old revision still serves.
        """
        ...

    def control(self, service: ServiceRecord, action: Action, emit: Emit) -> None:
        """Stops, starts or restarts the service, or makes it read its keys again. May raise `TargetFailure`."""
        ...

    def status(self, service: ServiceRecord) -> ServiceStatus:
        """What the service does now. Never raises for a service that is broken or gone."""
        ...

    def logs(self, service: ServiceRecord, *, tail: int | None, follow: bool) -> Iterator[LogLine]:
        """The last `tail` entries, oldest first (None: all), then with `follow` the new ones as they come."""
        ...

    def delete(self, service: ServiceRecord, emit: Emit) -> None:
        """Removes the service and everything that belongs to it. Succeeds when there is nothing to remove."""
        ...

    def discover(self) -> Iterator[ServiceRecord]:
        """The services that this target has, found without the store."""
        ...

    def cancel(self, service: ServiceRecord, deployment_id: str) -> None:
        """Ends an `apply` whose caller died. Succeeds when there is nothing to end, or when it is too late."""
        ...


class TargetFailure(Exception):
    """A revision could not be brought up, or a service not be reached. `core.diagnosis` explains `failure`."""

    def __init__(self, failure: dict[str, Any], stage: str = "rollout") -> None:
        super().__init__(failure.get("message", ""))
        self.failure = failure
        self.stage = stage
