"""Finds services by name. Commands that change one search a single workspace; those that read may search all."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.grammar import Args, Context
from mldeploy_jupyter.core.errors import MldeployError, WebserviceNotFound, WorkspaceError
from mldeploy_jupyter.core.name_rules import make_service_name

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder


def find_service(context: Context, args: Args) -> Any:
    """The service `args.name` of the workspace that `--path` names, or of the one found from here; of no other.

    Raises `WebserviceNotFound`, or `WorkspaceError` without a workspace. The hint names the workspaces that have a
    service of that name.
    """
    from mldeploy_jupyter.api.webservices import Webservice
    from mldeploy_jupyter.core.workspace.folder import list_workspaces

    try:
        return Webservice(context.workspace(args.path), args.name)
    except (WorkspaceError, WebserviceNotFound) as error:
        if _may_be_elsewhere(args, error):
            folders = [folder for folder in list_workspaces() if folder.store_url.startswith("sqlite")]
            found = _folders_with(args.name, folders)
            error.hint = _name_one(args.name, found) if found else error.hint
        raise


def find_service_anywhere(context: Context, args: Args, *, beyond_workspace: bool = True) -> Any:
    """The service `args.name` for a command that only reads: `find_service`, then any workspace of the user.

    A note says which workspace has it. Without `beyond_workspace` the others are searched only where there is no
    workspace here. Raises `WebserviceNotFound`, or `UsageError` when several workspaces have a service of that name.
    """
    from mldeploy_jupyter.api.webservices import Webservice
    from mldeploy_jupyter.core.workspace.folder import list_workspaces

    try:
        return Webservice(context.workspace(args.path), args.name)
    except (WorkspaceError, WebserviceNotFound) as error:
        if not _may_be_elsewhere(args, error):
            raise
        not_found = error
    if isinstance(not_found, WebserviceNotFound) and not beyond_workspace:
        return find_service(context, args)
    folders = list_workspaces()
    found = _folders_with(args.name, folders, context.note)
    if len(found) == 1:
        folder = found[0]
        context.note(f"note: {args.name} is in the workspace {folder.config.name}, {folder.root.parent}")
        return Webservice(context.workspace(str(folder.root)), args.name)
    if found:
        places = ", ".join(str(folder.root.parent) for folder in found)
        raise UsageError(
            f"{args.name} is in several workspaces", why=f"they are {places}", hint=_name_one(args.name, found)
        )
    if isinstance(not_found, WebserviceNotFound) or not folders:
        raise not_found
    counted = "only workspace" if len(folders) == 1 else f"{len(folders)} workspaces"
    raise WebserviceNotFound(
        f"no workspace has a service {args.name!r}",
        why=f"looked in your {counted}; there is none in {Path.cwd()} or above it",
        hint="see what there is with `mldeploy service list --all`",
    )


def _may_be_elsewhere(args: Args, error: MldeployError) -> bool:
    # Subclasses mean that the workspace is broken, or the service cannot be reached.
    return args.path is None and type(error) in (WorkspaceError, WebserviceNotFound)


def _folders_with(
    name: str, folders: Sequence[WorkspaceFolder], note: Callable[[str], None] | None = None
) -> list[WorkspaceFolder]:
    """The workspaces with a service of that name: one row is read in each, and no process is asked.

    One that cannot be read is left out; `note` gets a line about it.
    """
    found = []
    for folder in folders:
        try:
            if folder.open_store().get_service(name) is not None:
                found.append(folder)
        except MldeployError as error:
            if note is not None:
                note(f"note: the workspace {folder.root.parent} is left out: {error.message}")
    return found


def _name_one(name: str, folders: Sequence[WorkspaceFolder]) -> str:
    places = " or ".join(f"-w {shlex.quote(str(folder.root.parent))}" for folder in folders[:3])
    return f"if you mean the {name} of another workspace, name that: {places}"


def find_live_revision(store: Any, name: str) -> Any:
    """The record of the revision that a service serves; None without the service, or before it was live."""
    service = store.get_service(name)
    return store.get_revision(name, service.revision) if service is not None and service.revision else None


def find_namesake(store: Any, service: str) -> str:
    """The id of the latest version of the model after which a service of that name is named; "" without one."""
    record = store.get_model(service)
    if record is None:
        models = store.list_models(latest=True)
        record = next((model for model in models if make_service_name(model.name) == service), None)
    return record.id if record is not None else ""


def all_services(context: Context, path: str | None = None) -> list[Any]:
    """The services of every workspace of the user, and of the one found from here, which the list may lack.

    With `path` that is the one at `path`. A workspace that cannot be read is skipped, with a note.
    """
    from mldeploy_jupyter.api.webservices import Webservice
    from mldeploy_jupyter.core.workspace.folder import find_workspace, list_workspaces
    from mldeploy_jupyter.deployment.services.lost_services import describe_lost_services, find_lost_services

    found = []
    folders = list_workspaces(on_broken=lambda error: context.note(f"note: left out: {error.message}"))
    with suppress(WorkspaceError):  # a broken one has its note
        here = find_workspace(path)
        if here is not None and here.root not in {folder.root for folder in folders}:
            folders.append(here)
    for folder in folders:
        try:
            found.extend(Webservice.list(context.workspace(str(folder.root))))
        except MldeployError as error:
            context.note(f"note: the workspace {folder.root.parent} is left out: {error.message}")
    if lost := describe_lost_services(find_lost_services()):
        context.note(f"note: {lost}")
    return found
