"""Plain data that the store keeps and the packages pass to each other. No behaviour beyond JSON.

Times are ISO 8601 strings in UTC with milliseconds. Digests are lower-case SHA-256 hex.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mldeploy_jupyter.core.json_record import JsonRecord


def utc_now() -> str:
    """The time now, as records have it: `2026-01-31T12:00:00.000Z`."""
    return _to_text(datetime.now(UTC))


def utc_time(seconds: float) -> str:
    """A Unix time as records have it."""
    return _to_text(datetime.fromtimestamp(seconds, UTC))


def _to_text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class ModelRecord(JsonRecord):
    """A registered model. `version` counts from 1; 0 means not yet assigned. `size` is in bytes.

    `files` is the manifest: relative path -> [sha256, size in bytes]. A registered file is named by its basename,
    the files of a registered folder `<folder basename>/...`. `digest` is the manifest's. `details` holds datasets,
    sample ids, and what the model file says about its libraries.
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
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.name}:{self.version}"


@dataclass(frozen=True)
class ServiceRecord(JsonRecord):
    """A named service. `revision` is the number of the live revision, 0 before the first is live.

    `target` is the entry point's name (`local`, `aci`, `aks`, ...), `compute_type` v1's word (`Local`, `ACI`,
    `AKS`, `AKSENDPOINT`). `state` is as shown to users: Deploying, Updating, Live, Unhealthy, Failed or Stopped.
    `endpoint` is what the target returned (`scoring_uri`, `swagger_uri`, `port`, ...). `error` is the cause of the
    last failure as data. `folder` is the target's folder on this machine, "" if it has none.
    """

    name: str
    target: str = "local"
    compute_type: str = "Local"
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
    in it, `settings` the settings of the scoring server (`serving/settings.py`). `outcome` is pending, live, kept
    (it was live) or failed. `rolled_back_to` is the number of the revision that this one repeats, 0 if none. `image` is
    what a container of it runs, `image_id` the digest of the image's configuration, `image_digest` that of its manifest
    in a registry ("" before it is pushed), `receipt` what the image was made of; all empty for a process.
    """

    service: str
    number: int = 0
    bundle_digest: str = ""
    image_digest: str = ""
    image: str = ""
    image_id: str = ""
    receipt: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    inference_config: dict[str, Any] = field(default_factory=dict)
    deploy_config: dict[str, Any] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    deployment_id: str = ""
    created_time: str = ""
    outcome: str = "pending"
    rolled_back_to: int = 0


@dataclass(frozen=True)
class DeploymentRecord(JsonRecord):
    """One attempt to make a revision live. `state` is running, live, failed, cancelled or interrupted.

    `operation` is deploy, update or rollback. `request` is the `DeploymentRequest` as data. `runner` identifies the
    process that runs it, as `process_identity.identify_process` returns it. `cancel` means that cancelling was
    requested; a runner on another machine sees it at its next heartbeat.
    """

    id: str
    service: str
    target: str = "local"
    operation: str = "deploy"
    state: str = "running"
    created_time: str = ""
    finished_time: str = ""
    revision: int = 0
    request: dict[str, Any] = field(default_factory=dict)
    runner: dict[str, Any] = field(default_factory=dict)
    cause: dict[str, Any] | None = None
    cancel: bool = False


@dataclass(frozen=True)
class LeaseRecord(JsonRecord):
    """The exclusive right to change a service. `holder` is the id of a deployment or another operation.

    `expires` is in seconds since 1970, by the clock of the database where it has one. `runner` identifies the
    holder's process, as `process_identity.identify_process` returns it; its `until` is when the lease expires by the
    monotonic clock of the holder's machine, if that acquired it.
    """

    service: str
    holder: str
    expires: float
    runner: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DeploymentRequest(JsonRecord):
    """What a deployment has to do: plain data that passes from the caller to the runner as JSON. Holds no secrets.

    `models` are ids of registered models (`name:version`) and, for `local`, absolute paths. `inference_config` and
    `deploy_config` are their API objects as data. `revision` is the number that a rollback goes back to.
    `keep_source` is the number of the revision whose source and lock are used again, for an update that changes
    neither. `replay` scores the last request of the live revision before the switch. `kernel_python` is the
    interpreter of the caller, used as it is when no environment is given. `reload` says that only the source may have
    changed, so that a container can continue with it in its image; `image` names an image that is deployed as it is.
    `script_digest` is the SHA-256 of the entry
    script when the caller asked, "" when it is not read from its file.
    """

    service: str
    target: str
    operation: str = "deploy"
    models: list[str] = field(default_factory=list)
    inference_config: dict[str, Any] = field(default_factory=dict)
    deploy_config: dict[str, Any] = field(default_factory=dict)
    overwrite: bool = False
    revision: int = 0
    keep_source: int = 0
    replay: bool = False
    reload: bool = False
    image: str = ""
    kernel_python: str = ""
    script_digest: str = ""
