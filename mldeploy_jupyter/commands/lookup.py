"""Finds services by name: in the workspace found from here, or in any workspace of the user."""

from __future__ import annotations

from typing import Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.grammar import Args, Context
from mldeploy_jupyter.core.errors import MldeployError, WebserviceNotFound, WorkspaceError


def find_service(context: Context, args: Args) -> Any:
    """The service `args.name`: in the workspace found from here, or, without `--path`, in any of the user's workspaces.

    Raises `WebserviceNotFound`, or `UsageError` when several workspaces have a service of that name.
    """
    from mldeploy_jupyter.api.webservices import Webservice

    try:
        return Webservice(context.workspace(args.path), args.name)
    except (WorkspaceError, WebserviceNotFound) as error:
        # Their subclasses mean that the workspace is broken, or the service is out of reach.
        if args.path is not None or type(error) not in (WorkspaceError, WebserviceNotFound):
            raise
        not_found = error
    found = [service for service in all_services(context) if service.name == args.name]
    if not found:
        raise not_found
    if len(found) > 1:
        folders = ", ".join(str(service.workspace.folder.root.parent) for service in found)
        hint = f"name one: --path {found[0].workspace.folder.root.parent}"
        raise UsageError(f"{args.name} is in several workspaces", why=f"they are {folders}", hint=hint)
    return found[0]


def find_live_revision(store: Any, name: str) -> Any:
    """The record of the revision that a service serves; None without the service, or before it was live."""
    service = store.get_service(name)
    return store.get_revision(name, service.revision) if service is not None and service.revision else None


def all_services(context: Context) -> list[Any]:
    """The services of every workspace of the user. A workspace that cannot be read is skipped, with a note."""
    from mldeploy_jupyter.api.webservices import Webservice
    from mldeploy_jupyter.core.workspace.folder import list_workspaces

    found = []
    for folder in list_workspaces():
        try:
            found.extend(Webservice.list(context.workspace(str(folder.root))))
        except MldeployError as error:
            context.note(f"note: the workspace {folder.root.parent} is left out: {error.message}")
    return found
