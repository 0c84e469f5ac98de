"""What a target is: a place where services run. A third party adds one through the entry-point group
`mldeploy_jupyter.targets` and proves it with `mldeploy_jupyter.testing`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from mldeploy_jupyter.core.records import DeploymentRequest, RevisionRecord, ServiceRecord

Action = Literal["start", "stop", "restart", "regen_keys"]


class Emit(Protocol):
    """Writes one event of the running stage: `emit("log", "text", **data)`; stages are opened by `stage()`."""

    def __call__(self, stage: str, kind: str, text: str = "", **data: Any) -> Any: ...


# Asked between and inside steps: raises `DeploymentCancelled` once the durable mark is there.
Cancel = Callable[[], None]


@dataclass(frozen=True)
class Capabilities:
    """What a target can do. Panels and forms show just that."""

    stop: bool = False
    scale: bool = False
    traffic: bool = False
    logs_follow: bool = True
    needs_image: bool = False
    needs_python: bool = False  # runs a Python environment of this machine
    needs_registered_models: bool = True


@dataclass(frozen=True)
class Plan:
    """A request with everything it needs found: the bundle's folder, the interpreter or image, the revision."""

    request: DeploymentRequest
    service: ServiceRecord
    revision: RevisionRecord
    bundle: Path | None = None
    python: str = ""
    image: str = ""
    config: dict[str, Any] = field(default_factory=dict)  # the deploy configuration, with its defaults
    settings: dict[str, Any] = field(default_factory=dict)  # what the scoring server is told (serving/settings.py)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)  # never written to a journal


@dataclass(frozen=True)
class Finding:
    """What `check` found. An `error` stops the deployment before anything is built."""

    level: Literal["error", "warning"]
    what: str
    why: str = ""
    hint: str = ""
    code: str = "CheckFailed"


@dataclass(frozen=True)
class Strategy:
    """How traffic moves to the new revision. `probes`: consecutive good answers asked for before it does."""

    kind: Literal["switch", "canary"] = "switch"
    probes: int = 1


@dataclass(frozen=True)
class Endpoint:
    scoring_uri: str
    swagger_uri: str
    details: dict[str, Any] = field(default_factory=dict)  # the port, the pid, ...


@dataclass(frozen=True)
class ServiceStatus:
    """What the target says now. `state`: Live, Unhealthy, Stopped, Failed, or Absent when it has no such service.

    `revision` is the number that serves; `deployment_id` the deployment that made it so (it lets the next look
    finish the record of an update whose caller died); `failure` the last failure as data.
    """

    state: str
    revision: int = 0
    deployment_id: str = ""
    endpoint: Endpoint | None = None
    failure: dict[str, Any] | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LogLine:
    """An entry of a log. `text` is for a person, several lines where there is a traceback.

    Where the target keeps entries as data: `level` is info, warning or error, `request_ids` the requests it belongs
    to, `entry` all of it, as documented in `docs/guides/logs-metrics-traces.md`.
    """

    time: str
    source: str  # which replica or worker
    text: str
    level: str = ""
    request_ids: tuple[str, ...] = ()
    entry: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TargetContext:
    """What a target is opened with. `services` is the workspace's folder for what belongs to a service on this
    machine. `clients` holds clients that were handed in (a Docker client, a Kubernetes API...), by name."""

    workspace_id: str
    services: Path
    clients: dict[str, Any] = field(default_factory=dict)


class Target(Protocol):
    """A target is made with one argument, its `TargetContext`."""

    capabilities: Capabilities

    def check(self, plan: Plan) -> list[Finding]: ...

    def apply(self, plan: Plan, strategy: Strategy, emit: Emit, cancel: Cancel) -> Endpoint:
        """Creates, updates or rolls back. Idempotent: after a crash a second call converges.

        Opens and closes the stages `rollout`, `probe` and `switch`. Raises `TargetFailure` with the failure as
        data; the old revision then still serves.
        """
        ...

    def control(self, service: ServiceRecord, action: Action, emit: Emit) -> None: ...
    def status(self, service: ServiceRecord) -> ServiceStatus: ...
    def logs(self, service: ServiceRecord, *, tail: int | None, follow: bool) -> Iterator[LogLine]: ...
    def delete(self, service: ServiceRecord, emit: Emit) -> None: ...
    def discover(self) -> Iterator[ServiceRecord]: ...
    def cancel(self, service: ServiceRecord, deployment_id: str) -> None:
        """Ends an `apply` whose caller is gone. Too late, or nothing to end, is no error."""
        ...


class TargetFailure(Exception):
    """A revision could not be brought up. `failure` is data for `core.causes.explain`."""

    def __init__(self, failure: dict[str, Any], stage: str = "rollout") -> None:
        super().__init__(failure.get("message", ""))
        self.failure = failure
        self.stage = stage
