"""What a service does now and where it runs, as far as this machine can tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import TargetNotAvailable, WebserviceException
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.deployment.plan import open_service_target, target_context
from mldeploy_jupyter.serving.system.lock_holder import Processes
from mldeploy_jupyter.targets import Capabilities, ServiceStatus, Target, open_target

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


PARALLEL = 16  # threads that ask targets

STATUSES_SECONDS = 6.0  # allowed for the answers of all services together; one service has 5

_LATE = {
    "code": "status-late",
    "what": "the service did not report its state in time",
    "why": f"too many services were asked at once, or do not answer: {STATUSES_SECONDS:g} s had passed",
    "hint": "ask for it alone with `mldeploy service show NAME`",
}


def query_status(folder: WorkspaceFolder, service: ServiceRecord) -> ServiceStatus:
    """What the target reports now; for a service that runs elsewhere, what the store has."""
    if remote_location(folder, service):
        return ServiceStatus(service.state, service.revision, service.deployment_id)
    try:
        target = open_service_target(folder, service)
    except TargetNotAvailable as error:  # one service must not hide the others
        return ServiceStatus("Unhealthy", failure={"code": "target-not-available", "message": error.message})
    return target.status(service)


def query_statuses(folder: WorkspaceFolder, services: Iterable[ServiceRecord]) -> dict[str, ServiceStatus]:
    """What the targets report of many services, by name. They are asked side by side, for `STATUSES_SECONDS` in all."""
    context = replace(target_context(folder), processes=Processes())
    targets: dict[str, Target] = {}
    statuses, asked = {}, []
    for service in services:
        if remote_location(folder, service):
            statuses[service.name] = query_status(folder, service)
            continue
        try:
            target = targets.get(service.target) or targets.setdefault(
                service.target, open_target(service.target, context)
            )
        except TargetNotAvailable:  # one service must not hide the others
            statuses[service.name] = query_status(folder, service)
            continue
        asked.append((target, service))
    results: SimpleQueue[tuple[str, ServiceStatus | BaseException]] = SimpleQueue()
    waiting = SimpleQueue[tuple[Target, ServiceRecord] | None]()
    for item in [*asked, *[None] * PARALLEL]:
        waiting.put(item)
    for _ in range(min(PARALLEL, len(asked))):
        threading.Thread(target=_ask_targets, args=(waiting, results), daemon=True).start()
    end = time.monotonic() + STATUSES_SECONDS
    for _ in asked:
        try:
            name, found = results.get(timeout=max(0.0, end - time.monotonic()))
        except Empty:
            break
        if isinstance(found, BaseException):
            raise found
        statuses[name] = found
    for _, service in asked:
        statuses.setdefault(service.name, ServiceStatus("Unhealthy", service.revision, failure=_LATE))
    return statuses


def _ask_targets(
    waiting: SimpleQueue[tuple[Target, ServiceRecord] | None],
    results: SimpleQueue[tuple[str, ServiceStatus | BaseException]],
) -> None:
    while (item := waiting.get()) is not None:
        target, service = item
        try:
            results.put((service.name, target.status(service)))
        except BaseException as error:
            results.put((service.name, error))


def display_state(service: ServiceRecord, status: ServiceStatus) -> str:
    """Deploying, Updating, Live, Unhealthy, Failed, Cancelled or Stopped."""
    if service.state in ("Deploying", "Updating"):
        return service.state
    state = status.state
    if state == "Absent":
        state = "Unhealthy" if service.revision else "Failed"
    if state == "Failed" and (service.error or {}).get("code") == "cancelled":
        return "Cancelled"
    return state


def remote_location(folder: WorkspaceFolder, service: ServiceRecord) -> str:
    """Where a local service runs if not here: another machine, or another folder with the same store. "" if here."""
    host = str(service.endpoint.get("host") or "")
    if host and host != process_identity.host_name():
        return f"the machine {host}"
    if service.target in ("local", "docker") and service.workspace_id not in ("", folder.id):
        return f"another workspace folder{f' of {host}' if host else ''}"
    return ""


def target_capabilities(folder: WorkspaceFolder, service: ServiceRecord) -> Capabilities:
    """What the service's target can do. Raises `TargetNotAvailable`."""
    return open_service_target(folder, service).capabilities


def refuse_endpoint(folder: WorkspaceFolder, service: ServiceRecord, uri: str) -> str:
    """Why what listens at `uri` is not proven to be the service; "" when it is, or when its target cannot tell.

    A target that can tell has a method `refuse_endpoint(service, uri)`. It is called on every new connection.
    """
    location = remote_location(folder, service)
    if location:
        return f"the service runs {'in' if 'folder' in location else 'on'} {location}"
    refuse = getattr(open_service_target(folder, service), "refuse_endpoint", None)
    return str(refuse(service, uri)) if refuse is not None else ""


def require_local(folder: WorkspaceFolder, service: ServiceRecord) -> None:
    """Raises `WebserviceException` when the service runs elsewhere: a process cannot be changed through a database."""
    location = remote_location(folder, service)
    if location:
        raise WebserviceException(
            f"{service.name} runs in {location}" if "folder" in location else f"{service.name} runs on {location}",
            why=f"a local service answers, and can be changed, only where it runs; {service.created_by} made it",
            hint="do it there, or deploy it here under another name",
        )
