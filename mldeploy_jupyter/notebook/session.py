"""The state of the magics in one session, and what the front end tells about itself and the running cell."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mldeploy_jupyter.commands import open_workspace
from mldeploy_jupyter.core.errors import MldeployError

if TYPE_CHECKING:
    from mldeploy_jupyter.core.script.notebook_cells import CellRecord
    from mldeploy_jupyter.notebook.panels import Panels
    from mldeploy_jupyter.panel.scripts import Scripts

# live: a kernel with a person at the front end. headless: a kernel that a program runs (nbconvert, papermill), which
# saves no output after the last cell's end. terminal: IPython in a terminal.
FrontEnd = Literal["live", "headless", "terminal"]


@dataclass(frozen=True, eq=False)
class FailedCheck:
    """A script that failed its check with `models` of a workspace, and why. `text` is the script as it was then."""

    script: Path
    text: str
    why: str
    where: str = ""
    models: tuple[str, ...] = ()
    workspace: str = ""  # its id

    def applies_to(self, path: Path) -> bool:
        """Whether the file still holds that script, and was not corrected outside the notebook."""
        try:
            return path == self.script and path.read_text("utf-8") == self.text
        except (OSError, ValueError):
            return False


@dataclass(eq=False, repr=False)
class Session:
    """The state of one session. "The script" is that of the last `%%entry_script`."""

    shell: Any

    # The script: its file, whether it was written since the last deployment of any service, the service that it was
    # deployed as last (None since it was written), how its check failed.
    script: Path | None = None
    script_is_new: bool = False
    script_service: tuple[str, str] | None = None
    source_directory: Path | None = None  # of the script, where the cell's options name one
    failed_check: FailedCheck | None = None

    # What this session wrote to each script file last.
    cells: dict[Path, CellRecord] = field(default_factory=dict)

    # Models of the script: those its options named, those it passed an earlier check with, and the model that was
    # registered last when it was written. They are of the workspace with the id `workspace`. `checked_models` has the
    # models of every script that passed, by workspace and digest.
    workspace: str = ""
    named_models: list[str] = field(default_factory=list)
    passed_models: list[str] = field(default_factory=list)
    registered_before: list[str] = field(default_factory=list)
    checked_models: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    # The service that was deployed last: its workspace's id and its name.
    deployed: tuple[str, str] = ("", "")
    recorded_deployment: str = ""  # the deployment that `record_deployment` looked at last

    # Timelines that still change, by display id, and the number of the cell that shows each deployment, by its id.
    timelines: dict[str, Any] = field(default_factory=dict)
    timeline_cells: dict[str, int] = field(default_factory=dict)

    # The number of the cell that shows each latency run, by its id.
    latency_cells: dict[str, int] = field(default_factory=dict)

    # The entry scripts that a form offers; None for those of the current folder.
    scripts: Scripts | None = None

    # What draws panels; None until the first one, and where no person sees them.
    _panels: Panels | None = None

    # Added to the shell, and removed from it by `unload`.
    matcher: Any = None
    on_cell_end: Any = None

    @property
    def namespace(self) -> dict[str, Any]:
        return self.shell.user_ns if self.shell is not None else {}

    @property
    def panels(self) -> Panels | None:
        """The panels of this session; None in a terminal, and where a program runs the notebook."""
        if front_end(self.shell) != "live":
            return None
        if self._panels is None:
            from mldeploy_jupyter.notebook.panels import Panels

            self._panels = Panels(self.shell, self.cells, self.timelines, self.scripts)
        return self._panels

    @property
    def open_panels(self) -> Panels | None:
        """The panels that were shown, in whatever thread; None before the first."""
        return self._panels

    def close_panels(self) -> None:
        """Closes the panels that were shown."""
        if self._panels is not None:
            self._panels.close()
            self._panels = None

    def record_deployment(self, service: Any) -> None:
        """Remembers the service that was deployed last, and whether the script was deployed as that."""
        folder = service.workspace.folder
        self.deployed, self.script_is_new = (folder.id, service.name), False
        if self.script is None or self.recorded_deployment == service.deployment_id:
            return
        self.recorded_deployment = service.deployment_id
        deployment = folder.open_store().get_deployment(service.deployment_id)
        source = deployment.request.get("inference_config") or {} if deployment is not None else {}
        if source.get("entry_path") == str(self.script):
            self.script_service = self.deployed

    def refresh_timelines(self) -> None:
        """Brings every open timeline up to date. Called at the end of each cell, while its outputs can be saved."""
        for display_id, view in list(self.timelines.items()):
            if view.catch_up():
                self.timelines.pop(display_id, None)


def registered_models(path: str | None = None) -> list[str]:
    """The ids of the models that this process registered in the workspace at `path`, oldest first.

    Without a path it is the workspace of the current folder.
    """
    # A module that was never imported has registered nothing: no reason to import it now.
    registration = sys.modules.get("mldeploy_jupyter.api.models.registration")
    registered = getattr(registration, "registered_here", [])
    if not registered:
        return []
    try:
        workspace_id = open_workspace(path, announce=lambda line: None).folder.id
    except MldeployError:
        return []
    return [model for workspace, model in registered if workspace == workspace_id]


def front_end(shell: Any) -> FrontEnd:
    """The kind of front end. A program that runs notebooks does not allow input (`allow_stdin` of its requests)."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return "terminal"
    return "live" if _parent(kernel).get("content", {}).get("allow_stdin", True) else "headless"


def cell_id(shell: Any) -> str:
    """The id of the running cell; "" when the front end does not send it."""
    kernel = getattr(shell, "kernel", None)
    parent = _parent(kernel) if kernel is not None else {}
    return str((parent.get("metadata") or {}).get("cellId") or "")


def prompt_number(shell: Any) -> int | None:
    """The number beside the running cell, as in [3]; None without one.

    IPython 9.18 and later increment `execution_count` before the cell runs, older versions after it; a cell that is
    not stored does not count. The display hook of every version has the number of a cell that counts.
    """
    count = getattr(shell, "execution_count", None)
    kernel = getattr(shell, "kernel", None)
    content = _parent(kernel).get("content", {}) if kernel is not None else {}
    if not content.get("store_history", True) or content.get("silent", False):
        return count
    return getattr(getattr(shell, "displayhook", None), "prompt_count", count)


def notebook_path(shell: Any, environ: Any = os.environ) -> str:
    """The notebook's path; "" when the front end does not tell it.

    Jupyter servers set `JPY_SESSION_NAME`, which IPython copies to `__session__`; VS Code sets `__vsc_ipynb_file__`.
    """
    namespace = getattr(shell, "user_ns", {})
    for found in (namespace.get("__vsc_ipynb_file__"), namespace.get("__session__"), environ.get("JPY_SESSION_NAME")):
        if isinstance(found, str) and found:
            return found
    return ""


def raw_cell(shell: Any) -> str:
    """The running cell as it was typed, with leading blank lines; "" when it is unknown."""
    kernel = getattr(shell, "kernel", None)
    if kernel is not None:
        return str(_parent(kernel).get("content", {}).get("code") or "")
    history = getattr(getattr(shell, "history_manager", None), "input_hist_raw", None) or [""]
    return str(history[-1])


def _parent(kernel: Any) -> dict[str, Any]:
    get_parent = getattr(kernel, "get_parent", None)
    return (get_parent("shell") if get_parent is not None else None) or {}
