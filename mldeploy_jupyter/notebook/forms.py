"""Forms below a cell: `%deploy --form`, `deploy_form()`. Once a form was sent, its output shows what it began.

An output is saved as a few lines that say what the form was and what to type instead.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mldeploy_jupyter.commands import Args, Command, Param, UsageError
from mldeploy_jupyter.core.errors import WorkspaceError
from mldeploy_jupyter.notebook.deploy_defaults import describe_change, read_origin, relative_path
from mldeploy_jupyter.notebook.session import Session

if TYPE_CHECKING:
    from mldeploy_jupyter.api.workspace import Workspace
    from mldeploy_jupyter.core.script.notebook_cells import CellRecord

Kind = Literal["deploy", "update", "register"]

FORM = Param("form", ("--form",), "Show a form to fill in, with every setting. Other options are left out.", "switch")

_TITLES = {"deploy": "Deploy a model", "update": "Update {service}", "register": "Register a model"}
LIST = "%services"
LINES = {
    "deploy": "%deploy NAME -m MODEL --script FILE",
    "update": "%update {service} -m MODEL",
    "register": "%register NAME FILE",
}


class SessionScripts:
    """The scripts of this session's cells, and those of the current folder."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def choices(self) -> list[dict[str, str]]:
        from mldeploy_jupyter.panel.scripts import scripts_in

        cells = self._session.cells
        return [*scripts_of_cells(cells), *scripts_in(exclude=cells)]

    def source_directory(self) -> str:
        directory = self._session.source_directory
        return relative_path(directory) if directory is not None else ""

    def warning(self, path: Path) -> str:
        failed = self._session.failed_check
        if failed is not None and failed.applies_to(path):
            return f"It failed its check: {failed.why}"
        panels, folder = self._session.open_panels, None
        with suppress(WorkspaceError):
            folder = panels.workspace("").find_folder() if panels is not None else None
        change = describe_change(self._session, path, [folder])
        return f"It is deployed as the file is now: {change}" if change else ""


@dataclass
class _Shown:
    """A form in an output. `subject` is what the page is told of it."""

    session: Session
    display_id: str
    subject: dict[str, str]

    def begun(self, service: str, workspace: str, model: str) -> None:
        """Shows in the form's place what it began. Called from a thread."""
        from IPython.display import update_display

        panels = self.session.open_panels
        if panels is None:
            return
        if model:
            show: Any = update_display
            bundle = panels.mark_form(form_bundle("register", model=model), self, self.display_id)
            show(bundle, raw=True, display_id=self.display_id)
            return
        from mldeploy_jupyter.api.webservices import Webservice
        from mldeploy_jupyter.notebook.timeline_view import show_in_place

        found = Webservice(panels.workspace(workspace), service)
        self.session.record_deployment(found)
        self._accept_script(found)
        show_in_place(self.session, found, self.display_id, panels)

    def _accept_script(self, service: Any) -> None:
        """From now on the chosen file is what is meant, also where it is no longer what a cell wrote to it."""
        origin = read_origin(service.workspace.folder, service.name)
        path = Path(origin.inference_config.get("entry_path") or "") if origin is not None else Path()
        if describe_change(self.session, path, []):
            self.session.cells.pop(path, None)


def show_form(session: Session, kind: Kind, service: str = "", workspace: Workspace | None = None) -> bool:
    """Shows the form below the running cell. False where no person sees it, or nothing can draw it."""
    from IPython.display import display

    panels = session.panels
    if panels is None or not panels.can_draw:
        return False
    display_id = f"mldeploy-form-{os.urandom(8).hex()}"
    folder = workspace.find_folder() if workspace is not None else None
    where = folder.id if folder is not None else ""
    subject = {"service": service, "workspace": where, "deployment": "", "form": kind, "output": display_id}
    bundle = panels.mark_form(form_bundle(kind, service), _Shown(session, display_id, subject), display_id)
    show: Any = display
    show(bundle, raw=True, display_id=display_id)
    return True


def given_params(args: Args, base: Command) -> list[Param]:
    """The options of a command that its words name."""
    values = [(param, getattr(args, param.name)) for param in base.params]
    return [param for param, value in values if value is not None and (value is not False or param.kind == "toggle")]


def refuse_other_options(kind: Kind, given: list[Param], service: str = "") -> None:
    """Raises `UsageError` for an option beside `--form`."""
    if given:
        raise UsageError(
            f"--form cannot be combined with {given[0].display_name}",
            why="the form has a field for it",
            hint=f"leave it out: %{kind}{' ' if service else ''}{service} --form",
        )


def refuse_form(kind: Kind, service: str = "NAME") -> UsageError:
    """The error where a form was asked for and cannot be shown."""
    return UsageError(
        f"the form of %{kind} cannot be shown here",
        why="it needs a notebook in a browser, and a person who fills it in",
        hint=f"type the options: {LINES[kind].format(service=service)}",
    )


def form_bundle(kind: Kind, service: str = "", model: str = "") -> dict[str, str]:
    """What is saved of a form, by MIME type. `model` is what it has registered."""
    title, line = _TITLES[kind].format(service=service), LINES[kind].format(service=service)
    if model:
        text = f"Registered {model}"
        html = f"<p><strong>{escape(model)}</strong> registered</p>\n"
        return {"text/plain": text, "text/html": html}
    # A page that is loaded again before the answer keeps these lines: they must be true of a form that was sent, too.
    text = f"{title}: a form, shown while its kernel runs. Type instead: {line}. What runs: {LIST}"
    html = (
        f"<p><strong>{escape(title)}</strong> a form</p>\n"
        "<p>It is shown while the kernel that made it runs. Run the cell again to see it, or type "
        f"<code>{escape(line)}</code>. <code>{LIST}</code> lists what runs.</p>\n"
    )
    return {"text/plain": text, "text/html": html}


def scripts_of_cells(cells: Mapping[Path, CellRecord]) -> list[dict[str, str]]:
    """The scripts that cells of this session wrote, as the choices of a form, the last one first."""
    from mldeploy_jupyter.panel.scripts import script_choice

    choices = []
    for path, record in sorted(cells.items(), key=lambda item: item[1].time, reverse=True):
        with suppress(OSError, ValueError):  # the file is gone
            source, value = path.read_text("utf-8"), relative_path(path)
            number = record.execution_count
            choices.append(script_choice(value, source, f"Cell {number}: {value}" if number is not None else value))
    return choices
