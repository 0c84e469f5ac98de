"""Finds services from anywhere: in the workspace found from here, else in all that this user has made."""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.formatting import table
from mldeploy_jupyter.commands.grammar import Args, Context, Result
from mldeploy_jupyter.core.errors import MldeployError, WebserviceNotFound, WorkspaceError


def find_service(context: Context, args: Args) -> Any:
    """The service, in the workspace found from here; without one there, in any workspace this user has.

    Raises `WebserviceNotFound`, or `UsageError` when several workspaces have a service of that name.
    """
    from mldeploy_jupyter.api.webservices.webservice import Webservice

    missing: MldeployError | None = None
    try:
        return Webservice(context.workspace(args.path), args.name)
    except (WorkspaceError, WebserviceNotFound) as error:
        if args.path is not None or context.open is not None or type(error) not in (WorkspaceError, WebserviceNotFound):
            raise
        missing = error
    found = [service for service in _everywhere(context) if service.name == args.name]
    if not found:
        raise missing
    if len(found) > 1:
        folders = ", ".join(str(service.workspace.folder.root.parent) for service in found)
        hint = f"name one: --path {found[0].workspace.folder.root.parent}"
        raise UsageError(f"{args.name} is in several workspaces", why=f"they are {folders}", hint=hint)
    return found[0]


def _everywhere(context: Context) -> list[Any]:
    """The services of every workspace this user has made; one that cannot be read is said and skipped."""
    from mldeploy_jupyter.api.webservices.webservice import Webservice
    from mldeploy_jupyter.core.workspace.folder import list_workspaces

    found = []
    for folder in list_workspaces():
        try:
            found.extend(Webservice.list(context.workspace(str(folder.root))))
        except MldeployError as error:
            context.note(f"note: the workspace {folder.root.parent} is left out: {error.message}")
    return found


def list_services(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.api.webservices.webservice import Webservice

    everywhere = args.all
    try:
        workspace = None if everywhere else context.workspace(args.path)
    except WorkspaceError as error:
        # From a folder without a workspace, whatever this user has is shown. A broken workspace stays an error.
        if args.path is not None or type(error) is not WorkspaceError or _is_here():
            raise
        workspace, everywhere = None, True
    services = _everywhere(context) if workspace is None else Webservice.list(workspace)
    services = [service for service in services if _wanted(service, args)]
    rows = []
    for service in services:
        data = service.serialize()
        row = [service.name, service.shown_state, data.get("computeType"), data.get("scoringUri")]
        rows.append([*row, service.workspace.folder.root.parent] if everywhere else row)
    head = ("NAME", "STATE", "TARGET", "SCORING URI", *(("WORKSPACE",) if everywhere else ()))
    text = table(rows, head) if rows else "No services. Deploy one with: mldeploy model deploy"
    return Result(services, text, [service.serialize() for service in services], "Webservice.list(ws)")


def _is_here() -> bool:
    from mldeploy_jupyter.core.workspace.folder import find_workspace

    return find_workspace() is not None


def _wanted(service: Any, args: Args) -> bool:
    if args.compute_type and service.compute_type.lower() != args.compute_type.lower():
        return False
    data = service.serialize()
    models = [str(model) for model in data.get("models") or []]
    if args.model_id and args.model_id not in models:
        return False
    if args.model_name and not any(model.partition(":")[0] == args.model_name for model in models):
        return False
    return _has(service.tags, args.tag) and _has(service.properties, args.property)


def _has(values: dict[str, Any] | None, words: list[str] | None) -> bool:
    for word in words or []:
        key, sign, value = word.partition("=")
        if key not in (values or {}) or (sign and str((values or {})[key]) != value):
            return False
    return True
