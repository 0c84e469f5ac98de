"""Lists and removes services in containers whose workspace was deleted (`targets.docker.lost_services`)."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from mldeploy_jupyter.core.text import printable_line
from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder, list_workspaces
from mldeploy_jupyter.docker_engine import EngineError, open_engine
from mldeploy_jupyter.targets.docker.lost_services import list_lost_services, remove_lost_service

if TYPE_CHECKING:
    from mldeploy_jupyter.targets.docker.lost_services import LostService

ASK_SECONDS = 3.0  # of silence of the engine, when it is only asked


def find_lost_services(folder: WorkspaceFolder | None = None) -> list[LostService]:
    """The services of this user in containers whose workspace is gone; none where no engine answers.

    `folder` is a workspace that is known besides those of the user's list. Where the settings of one cannot be read,
    no service counts as lost.
    """
    known = _known_ids(folder)
    if known is None:
        return []
    try:
        with closing(open_engine(timeout=ASK_SECONDS)) as engine:
            return list_lost_services(engine, known)
    except EngineError:
        return []


def end_lost_services(folder: WorkspaceFolder | None = None) -> tuple[int, tuple[str, ...]]:
    """Ends what `find_lost_services` finds. How many, and a note for each that the engine would not remove."""
    ended, notes = 0, []
    if found := find_lost_services(folder):
        with closing(open_engine()) as engine:
            for service in found:
                try:
                    remove_lost_service(engine, service)
                    ended += 1
                except EngineError as error:
                    notes.append(
                        f"The service {printable_line(str(service))} could not be ended: {error.failure['message']}"
                    )
    return ended, tuple(notes)


def describe_lost_services(found: list[LostService]) -> str:
    """A sentence about the services and how to end them; "" for none."""
    if not found:
        return ""
    is_one = len(found) == 1
    has, them = ("service in containers has", "it") if is_one else ("services in containers have", "them")
    which = printable_line(str(found[0])) + ("" if is_one else f" and {len(found) - 1} more")
    return (
        f"{len(found)} {has} no workspace: {which}. End {them} with: mldeploy prune --lost-services. "
        "If the workspace was only moved, run a command in it first"
    )


def _known_ids(folder: WorkspaceFolder | None) -> set[str] | None:
    broken: list[Exception] = []
    found = list_workspaces(on_broken=broken.append)
    return None if broken else {one.id for one in (*found, *((folder,) if folder else ()))}
