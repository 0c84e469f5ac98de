"""Services as the protocol has them: `service.describe` and `service.list`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter import deployment
from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.errors import MldeployError, WebserviceNotFound
from mldeploy_jupyter.core.journal.wording import target_title
from mldeploy_jupyter.panel.context import PanelContext
from mldeploy_jupyter.panel.failures import describe_cause
from mldeploy_jupyter.panel.services.capabilities import allowed_orders, shown_tabs
from mldeploy_jupyter.panel.services.environments import describe_environment
from mldeploy_jupyter.panel.services.setting_words import describe_setting

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices import Webservice
    from mldeploy_jupyter.api.webservices.overview import Overview
    from mldeploy_jupyter.core.records import DeploymentRecord, RevisionRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


def find_service(context: PanelContext, parameters: dict[str, Any]) -> Webservice:
    """The service that a request names. Raises `WebserviceNotFound` or `WorkspaceError`."""
    from mldeploy_jupyter.api.webservices import Webservice

    return Webservice(context.workspace(parameters.get("workspace", "")), parameters["service"])


def answer_describe(context: PanelContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """The answer to `service.describe`. Raises `WebserviceNotFound`."""
    service = find_service(context, parameters)
    described = describe_services(context, [service])
    if not described:  # deleted meanwhile
        raise WebserviceNotFound(
            f"there is no service {service.name}",
            why="it was deleted a moment ago",
            hint="see what there is with `mldeploy service list`",
        )
    return described[0]


def answer_events(context: PanelContext, parameters: dict[str, Any]) -> list[dict[str, str]]:
    """The answer to `service.events`: what happened to the service after it was live, newest first."""
    service = find_service(context, parameters)
    found = deployment.read_service_events(service.workspace.folder, service.name)
    return [{key: str(event.get(key) or "") for key in ("time", "kind", "text")} for event in found]


def answer_list(context: PanelContext, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer to `service.list`: the services of one workspace, or with `all` those of every known one."""
    from mldeploy_jupyter.api.webservices import Webservice

    if not parameters.get("all"):
        return describe_services(context, Webservice.list(context.workspace(parameters.get("workspace", ""))))
    found = []
    for workspace in context.known():
        try:
            found += describe_services(context, Webservice.list(workspace))
        except MldeployError:  # one workspace that cannot be read hides no other
            continue
    return found


def describe_services(
    context: PanelContext,
    services: Sequence[Webservice],
    on_read: Callable[[Overview], object] = lambda read: None,
) -> list[dict[str, Any]]:
    """The services as they are now, read together; those that were deleted meanwhile are left out.

    `on_read` gets what was read of each.
    """
    from mldeploy_jupyter.api.webservices.overview import read_overviews

    overviews = read_overviews(services)
    for read in overviews:
        on_read(read)
    folders = {read.service.workspace.folder.id: read.service.workspace.folder for read in overviews}
    rows = {
        id: _read_rows(folder, [read for read in overviews if read.service.workspace.folder.id == id])
        for id, folder in folders.items()
    }
    return [
        _describe(context, read.service.workspace.folder, read, *rows[read.service.workspace.folder.id])
        for read in overviews
    ]


_Rows = tuple[dict[str, list[int]], dict[str, "DeploymentRecord"]]


def _read_rows(folder: WorkspaceFolder, overviews: list[Overview]) -> _Rows:
    """The kept revisions by service, and the last and the live deployments by id: two queries for any number."""
    store = folder.open_store()
    names = {read.record.name for read in overviews}
    kept: dict[str, list[int]] = {}
    for revision in store.list_revisions(next(iter(names)) if len(names) == 1 else None, outcome="kept"):
        if revision.service in names and is_kept(folder, revision):
            kept.setdefault(revision.service, []).append(revision.number)
    ids = {read.record.deployment_id for read in overviews}
    ids |= {read.live.deployment_id for read in overviews if read.live is not None}
    return kept, store.get_deployments(ids - {""})


def _describe(
    context: PanelContext,
    folder: WorkspaceFolder,
    read: Overview,
    all_kept: dict[str, list[int]],
    deployments: dict[str, DeploymentRecord],
) -> dict[str, Any]:
    data, record, live = read.data, read.record, read.live
    state, kept = _state(read), all_kept.get(record.name, [])
    began = deployments.get(live.deployment_id) if live is not None else None
    last = deployments.get(record.deployment_id)
    auth = "token" if data["tokenAuthEnabled"] else "key" if data["authEnabled"] else "none"
    return {
        "service": record.name,
        "workspace": folder.id,
        "workspaceTitle": folder.config.name,
        "state": state,
        "target": record.target,
        "targetTitle": target_title(record.target),
        "revision": record.revision,
        "models": list(data["models"]),
        "scoringUri": str(data["scoringUri"] or ""),
        "swaggerUri": str(data["swaggerUri"] or ""),
        "auth": auth,
        "health": _health(context, read, state),
        "since": began.finished_time if began is not None else "",
        "error": describe_cause(data["error"], context) if data["error"] and state != "live" else None,
        "deployment": record.deployment_id,
        "deploying": last is not None and last.state == "running",
        "description": record.description or "",
        "tags": {str(key): str(value) for key, value in record.tags.items()},
        "workers": _workers(live),
        "kept": sorted(kept),
        "bundleDigest": live.bundle_digest if live is not None else "",
        "environment": describe_environment(folder, live) if live is not None else [],
        "settings": _settings(live, data["settings"] or {}, in_container=record.target != "local"),
        "can": allowed_orders(folder, record, state, auth=auth, kept=bool(kept)),
        "tabs": shown_tabs(folder, record, state),
        "folder": str(folder.root.parent),
    }


def _state(read: Overview) -> str:
    if (read.status.failure or {}).get("code") == "status-late":
        return "unknown"
    return read.shown_state.lower()


def _health(context: PanelContext, read: Overview, state: str) -> dict[str, str]:
    status, time = read.status, context.time()
    if state == "unknown" or deployment.remote_location(read.service.workspace.folder, read.record):
        return {"state": "unknown", "text": "Not asked: it runs elsewhere" if state != "unknown" else "No answer yet",
                "checked": ""}  # fmt: skip
    if status.state == "Live":
        return {"state": "healthy", "text": "Healthy", "checked": time}
    if status.state == "Unhealthy":
        why = str((data.get("what") or data.get("message") or "") if (data := status.failure) else "")
        return {"state": "unhealthy", "text": why or "It does not answer", "checked": time}
    return {"state": "unknown", "text": "Stopped" if status.state == "Stopped" else "Not live yet", "checked": time}


def _workers(live: RevisionRecord | None) -> int:
    if live is None:
        return 0
    settings = DeployConfig.from_dict(live.deploy_config).resolve()
    return int(settings.get("worker_count") or settings.get("num_replicas") or 1)


def _settings(
    live: RevisionRecord | None, settings: dict[str, Any], *, in_container: bool = False
) -> list[dict[str, str]]:
    """The settings of target and server. The target's title says what the engine is."""
    if live is None:
        return []
    hidden = {"engine", *(() if in_container else ("cpu_cores_limit",))}
    fields = DeployConfig.from_dict(live.deploy_config).spec.by_name
    return [
        {"label": fields[name].label, "value": describe_setting(fields[name], value)}
        for name, value in settings.items()
        if name in fields and name not in hidden
    ]


def is_kept(folder: WorkspaceFolder, revision: RevisionRecord) -> bool:
    """Whether the service can go back to this revision: it was live, and its bundle was not removed by a prune."""
    bundle = folder.bundles / revision.bundle_digest
    return revision.outcome == "kept" and (not revision.bundle_digest or os.path.exists(bundle))
