"""Adds records for services that exist but that the store does not know.

A store may be new because its file was lost, or old because a backup was put back. What runs, and what was stopped, is
found by the target. A service's folder says which revision serves, its deployment's folder what that was made from, and
its bundle which models it has. Nothing of that needs the store, so its records are made again from there.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.artifacts.file_tree import manifest_digest
from mldeploy_jupyter.core.bundle import builder
from mldeploy_jupyter.core.configs import passed_settings
from mldeploy_jupyter.core.errors import DeploymentInProgress, MldeployError, StorageError
from mldeploy_jupyter.core.files import read_json_if_valid
from mldeploy_jupyter.core.records import (
    DeploymentRecord,
    DeploymentRequest,
    ModelRecord,
    RevisionRecord,
    ServiceRecord,
    utc_now,
    utc_time,
)
from mldeploy_jupyter.deployment.files import REQUEST_FILE
from mldeploy_jupyter.deployment.lease import acquire_lease, has_live_holder
from mldeploy_jupyter.deployment.plan import target_context
from mldeploy_jupyter.targets import open_target
from mldeploy_jupyter.targets.docker.live_record import FILE as CONTAINER_FILE

if TYPE_CHECKING:
    from mldeploy_jupyter.core.store.store import Store
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

LIVE_FILES = ("live.json", CONTAINER_FILE)  # of a service's folder: what serves, as a process and in a container


def restore_service(folder: WorkspaceFolder, name: str) -> bool:
    """As `restore_services`, for one service. Whether a record was added or changed."""
    return isinstance(name, str) and os.path.isdir(folder.services / name) and bool(_restore(folder, {name}))


def restore_services(folder: WorkspaceFolder) -> list[str]:
    """Adds what the store lacks of the services in the workspace's folder, and returns their names.

    That is all of a service which the store does not know, and the live revision of one of which it knows only older
    ones. A service that an operation is changing is left alone.
    """
    try:
        names = {entry.name for entry in os.scandir(folder.services) if entry.is_dir()}
    except OSError:
        return []
    known = {service.name: service for service in folder.open_store().list_services()}
    return _restore(folder, {name for name in names if name not in known or is_behind(folder, known[name])})


def is_behind(folder: WorkspaceFolder, service: ServiceRecord) -> bool:
    """Whether a service of this folder serves a revision that is newer than its record, and no deployment is running.

    The file that says so is read, nothing else; a service without one is not behind.
    """
    if service.state in ("Deploying", "Updating") or service.workspace_id not in ("", folder.id):
        return False
    found = [(read_json_if_valid(folder.services / service.name / file) or {}).get("revision") for file in LIVE_FILES]
    return any(isinstance(number, int) and number > service.revision for number in found)


def _restore(folder: WorkspaceFolder, names: set[str]) -> list[str]:
    if not names:
        return []
    store, restored, context = folder.open_store(), [], target_context(folder)
    contained = any(_may_be_contained(folder.services / name) for name in names)
    targets = [open_target(target, context) for target in ("local", *(("docker",) if contained else ()))]
    for found in (service for target in targets for service in target.discover()):
        # On a full or read-only disk a look shows what there is; what another operation holds will be seen next time.
        with suppress(StorageError, DeploymentInProgress):
            if found.name in names and not has_live_holder(store, found.name) and _restore_one(folder, store, found):
                restored.append(found.name)
    return restored


def _may_be_contained(service: Path) -> bool:
    """Whether the service with this folder may be in a container: its file says so, or no file says what serves."""
    process, container = ((service / file).exists() for file in LIVE_FILES)
    return container or not process


def _restore_one(folder: WorkspaceFolder, store: Store, found: ServiceRecord) -> bool:
    holder = f"restore-{os.getpid()}-{os.urandom(3).hex()}"
    acquire_lease(store, found.name, holder)
    try:
        known = store.get_service(found.name)
        if not (folder.services / found.name).is_dir() or (known is not None and not is_behind(folder, known)):
            return False  # it was deleted or restored meanwhile
        request = _read_request(folder, found)
        target: Any = open_target(found.target, target_context(folder))
        settings: dict[str, Any] = target.live_settings(found)
        service = _make_service(folder, known, found, request)
        revision = _make_revision(folder, found, request, settings) if found.revision else None
        finished = revision.created_time if revision is not None else utc_now()
        deployment = _make_deployment(found, request, finished) if request is not None else None
        store.restore_service(service, revision, deployment, _find_models(folder, revision))
        return True
    finally:
        store.leases.release(found.name, holder)


def _read_request(folder: WorkspaceFolder, found: ServiceRecord) -> DeploymentRequest | None:
    """What the live revision was deployed from; None when that is gone."""
    path = folder.deployments / found.deployment_id / REQUEST_FILE
    data = read_json_if_valid(path) if found.deployment_id else None
    return DeploymentRequest.from_stored(data) if data else None


def _make_service(
    folder: WorkspaceFolder, known: ServiceRecord | None, found: ServiceRecord, request: DeploymentRequest | None
) -> ServiceRecord:
    status = open_target(found.target, target_context(folder)).status(found)
    endpoint = status.endpoint.to_dict() if status.endpoint is not None else found.endpoint
    state = "Failed" if not found.revision else status.state
    changes: dict[str, Any] = {
        "revision": found.revision,
        "deployment_id": found.deployment_id,
        "state": state,
        "endpoint": endpoint,
    }
    if known is not None:
        return replace(known, **changes, auth_enabled=found.auth_enabled)
    passed = passed_settings(request.deploy_config) if request is not None else {}
    described = {key: value for key, value in passed.items() if key in ("tags", "properties", "description")}
    # Made with the folder, and never written to; containers have none, and their keys are as old.
    lock = folder.services / found.name / ("keys.json" if found.endpoint.get("image") else "lock")
    made = {"created_time": _time_of(lock), "created_by": process_identity.user_name()}
    return ServiceRecord.from_stored({**found.to_dict(), **described, **changes, **made})


def _make_revision(
    folder: WorkspaceFolder, found: ServiceRecord, request: DeploymentRequest | None, settings: dict[str, Any]
) -> RevisionRecord:
    image, receipt = str(found.endpoint.get("image") or ""), dict(found.endpoint.get("receipt") or {})
    python, bundle = str(settings.get("python") or ""), Path(str(settings.get("server_path") or "")).parent.name
    if image:  # the paths are those in the container
        bundle, python = str(receipt.get("bundle") or ""), ""
    # The interpreter of an environment that was built is <cache>/environments/<digest>/bin/python.
    place = Path(python).parent.parent
    digest = place.name if place.parent.name == "environments" else ""
    return RevisionRecord(
        found.name,
        found.revision,
        bundle_digest=bundle if bundle and (folder.bundles / bundle).is_dir() else "",
        environment={"python": python, "digest": digest} if python else {},
        image=image,
        image_id=str(found.endpoint.get("image_id") or ""),
        receipt=receipt,
        inference_config=request.inference_config if request is not None else {},
        deploy_config=request.deploy_config if request is not None else {},
        models=request.models if request is not None else [],
        settings=settings,
        deployment_id=found.deployment_id,
        created_time=_time_of(folder.services / found.name / (CONTAINER_FILE if image else "live.json")),
        outcome="live",
    )


def _make_deployment(found: ServiceRecord, request: DeploymentRequest, finished: str) -> DeploymentRecord:
    return DeploymentRecord(
        found.deployment_id,
        found.name,
        found.target,
        operation=request.operation,
        state="live",
        created_time=finished,
        finished_time=finished,
        revision=found.revision,
        request=request.to_dict(),
    )


def _find_models(folder: WorkspaceFolder, revision: RevisionRecord | None) -> list[ModelRecord]:
    """The registered models in the revision's bundle."""
    if revision is None or not revision.bundle_digest:
        return []
    found = []
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, MldeployError):  # a damaged manifest
        bundle = builder.load(folder.bundles / revision.bundle_digest)
        for model in bundle.manifest["models"]:
            files = bundle.files_below(f"app/{model['folder']}/")
            if model["version"]:
                size = sum(length for _, length in files.values())
                found.append(ModelRecord(model["name"], model["version"], manifest_digest(files), size, files))
    return found


def _time_of(path: Path) -> str:
    """When the file was last written, as records have it; now where it is gone."""
    try:
        return utc_time(path.stat().st_mtime)
    except OSError:
        return utc_now()
