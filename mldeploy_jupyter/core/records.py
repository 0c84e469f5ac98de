"""Plain data that the store keeps and the rooms hand to each other. No behaviour beyond JSON.

Times are ISO 8601 strings in UTC with milliseconds. Digests are lower-case SHA-256 hex.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, TypeVar

Record = TypeVar("Record", bound="JsonRecord")


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class JsonRecord:
    """A record that goes to JSON and back. Unknown keys are dropped, so older programs read newer data."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls: type[Record], data: dict[str, Any]) -> Record:
        known = {f.name for f in fields(cls)}
        return cls(**{key: value for key, value in data.items() if key in known})


@dataclass(frozen=True)
class ModelRecord(JsonRecord):
    """A registered model. `version` 0 means not yet given.

    `files` is the manifest: relative path -> [sha256, size in bytes]. A registered file stands under its
    basename, a registered folder's files under `<folder basename>/...`. `digest` is that of the manifest.
    """

    name: str
    version: int = 0
    digest: str = ""
    size: int = 0
    files: dict[str, list[Any]] = field(default_factory=dict)
    tags: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    description: str | None = None
    created_time: str = ""
    created_by: str = ""
    model_framework: str | None = None
    model_framework_version: str | None = None
    mime_type: str = "application/json"
    experiment_name: str | None = None
    run_id: str | None = None
    resource_configuration: dict[str, Any] | None = None
    details: dict[str, Any] = field(
        default_factory=dict
    )  # datasets, sample ids, what the model file says of its libraries

    @property
    def id(self) -> str:
        return f"{self.name}:{self.version}"


@dataclass(frozen=True)
class ServiceRecord(JsonRecord):
    """A named service. `revision` is the number of the one that serves, 0 before the first is live.

    `target` is the entry point's name (`local`, `aci`, `aks`...), `compute_type` v1's word (`Local`, `ACI`,
    `AKS`, `AKSENDPOINT`). `state` is a shown state: Deploying, Updating, Live, Unhealthy, Failed, Stopped.
    `endpoint` is what the target gave back (`scoring_uri`, `swagger_uri`, `port`, ...). `error` is the cause of
    the last failure as data. `folder` is the target's own folder on this machine, if it has one.
    """

    name: str
    target: str
    compute_type: str
    workspace_id: str = ""
    state: str = "Deploying"
    revision: int = 0
    deployment_id: str = ""
    endpoint: dict[str, Any] = field(default_factory=dict)
    auth_enabled: bool = True
    tags: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    description: str | None = None
    created_time: str = ""
    updated_time: str = ""
    created_by: str = ""
    error: dict[str, Any] | None = None
    folder: str = ""


@dataclass(frozen=True)
class RevisionRecord(JsonRecord):
    """One version of a service. `number` counts from 1 for each service and is never reused.

    `inference_config` and `deploy_config` are the plain data it was made from, `models` the ids (`name:version`)
    in it, `settings` what the scoring server was told (`serving/settings.py`). `outcome`: pending, live, kept
    (was live), failed.
    """

    service: str
    number: int = 0
    bundle_digest: str = ""
    image_digest: str = ""
    environment: dict[str, Any] = field(default_factory=dict)
    inference_config: dict[str, Any] = field(default_factory=dict)
    deploy_config: dict[str, Any] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    deployment_id: str = ""
    created_time: str = ""
    outcome: str = "pending"
    rolled_back_to: int = 0  # the number of the revision that this one repeats


@dataclass(frozen=True)
class DeploymentRecord(JsonRecord):
    """One attempt to make a revision live. `state`: running, live, failed, cancelled, interrupted.

    `request` is the `DeploymentRequest` as data. `runner` says who carries it out:
    `{"pid", "started" (the process's start time, so that a reused pid is not taken for it), "host"}`.
    """

    id: str
    service: str
    target: str
    operation: str = "deploy"  # deploy, update, rollback
    state: str = "running"
    created_time: str = ""
    finished_time: str = ""
    revision: int = 0
    request: dict[str, Any] = field(default_factory=dict)
    runner: dict[str, Any] = field(default_factory=dict)
    cause: dict[str, Any] | None = None
    cancel: bool = False  # asked for; seen by a runner on another machine at its next heartbeat


@dataclass(frozen=True)
class LeaseRecord(JsonRecord):
    """The right to change a service. `expires` is in seconds since 1970 by the store's own clock where it has one."""

    service: str
    holder: str  # the deployment's id
    expires: float
    runner: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DeploymentRequest(JsonRecord):
    """What a deployment was asked to do: plain data that passes from the caller to the runner as JSON.

    `models` are ids of registered models (`name:version`) and, for `local`, absolute paths. `inference_config` and
    `deploy_config` are the data forms of their API objects. `keep_source` is the number of the revision whose
    source and lock are used again (an update that changes neither). No secrets.
    """

    service: str
    target: str
    operation: str = "deploy"
    models: list[str] = field(default_factory=list)
    inference_config: dict[str, Any] = field(default_factory=dict)
    deploy_config: dict[str, Any] = field(default_factory=dict)
    overwrite: bool = False
    revision: int = 0  # rollback: the number to go back to
    keep_source: int = 0
    kernel_python: str = ""  # the interpreter that asked; used as it is when no environment is given
