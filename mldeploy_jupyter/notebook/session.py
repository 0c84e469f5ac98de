"""What the magics remember in one session, and what they must know of the front end."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

# live: a kernel with someone before it. headless: a kernel that is run by a program (nbconvert, papermill),
# where nothing may be shown after the last cell. terminal: IPython in a terminal.
FrontEnd = Literal["live", "headless", "terminal"]


@dataclass(frozen=True)
class FailedCheck:
    """A script that could not serve when it was written, with `models`. `text` is the script as it was then."""

    script: Path
    text: str
    why: str
    where: str = ""
    models: tuple[str, ...] = ()

    def is_of(self, path: Path) -> bool:
        """Whether the file is that script still: one that was corrected outside the notebook is not judged."""
        try:
            return path == self.script and path.read_text("utf-8") == self.text
        except (OSError, ValueError):
            return False


@dataclass
class Session:
    """`script` is the file of the last %%entry_script, new until something is deployed, `failed` how its check failed,
    `models` what it was checked with if it named any. `checked` has the models that each script, by its digest, passed
    its check with, and `kept` those of the last script, with what was registered last at that time. `service` is the
    name that was deployed last. `views` are the timelines that still change, by display, and `shown` says for each
    deployment which cell, by its number, showed its timeline."""

    shell: Any
    script: Path | None = None
    script_is_new: bool = False
    failed: FailedCheck | None = None
    models: list[str] = field(default_factory=list)
    checked: dict[str, list[str]] = field(default_factory=dict)
    kept: tuple[list[str], list[str]] = ([], [])
    service: str = ""
    views: dict[str, Any] = field(default_factory=dict)
    shown: dict[str, int] = field(default_factory=dict)
    matcher: Any = None  # what was added to the shell, so that it can be taken out again
    on_cell_end: Any = None

    @property
    def namespace(self) -> dict[str, Any]:
        return self.shell.user_ns if self.shell is not None else {}


def front_end(shell: Any) -> FrontEnd:
    """A program that runs notebooks says in its requests that nobody can answer a question (`allow_stdin`)."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return "terminal"
    return "live" if _parent(kernel).get("content", {}).get("allow_stdin", True) else "headless"


def cell_id(shell: Any) -> str:
    """The running cell's id, "" where the front end does not say."""
    kernel = getattr(shell, "kernel", None)
    parent = _parent(kernel) if kernel is not None else {}
    return str((parent.get("metadata") or {}).get("cellId") or "")


def prompt_number(shell: Any) -> int | None:
    """The number beside the running cell, as in [3]; None where there is none.

    IPython 9.18 and later count up before the cell runs, older ones after it, and a cell that is not stored is not
    counted. The display hook of each version knows the number of a counted cell.
    """
    count = getattr(shell, "execution_count", None)
    kernel = getattr(shell, "kernel", None)
    content = _parent(kernel).get("content", {}) if kernel is not None else {}
    if not content.get("store_history", True) or content.get("silent", False):
        return count
    return getattr(getattr(shell, "displayhook", None), "prompt_count", count)


def notebook_path(shell: Any, environ: Any = os.environ) -> str:
    """The notebook's path as the front end tells it, "" when it does not: Jupyter servers set
    `JPY_SESSION_NAME`, VS Code `__vsc_ipynb_file__`, and IPython's own `__session__` is the former."""
    namespace = getattr(shell, "user_ns", {})
    for found in (namespace.get("__vsc_ipynb_file__"), namespace.get("__session__"), environ.get("JPY_SESSION_NAME")):
        if isinstance(found, str) and found:
            return found
    return ""


def raw_cell(shell: Any) -> str:
    """The running cell as it was typed, with its leading blank lines; "" when it is not known."""
    kernel = getattr(shell, "kernel", None)
    if kernel is not None:
        return str(_parent(kernel).get("content", {}).get("code") or "")
    history = getattr(getattr(shell, "history_manager", None), "input_hist_raw", None) or [""]
    return str(history[-1])


def _parent(kernel: Any) -> dict[str, Any]:
    get_parent = getattr(kernel, "get_parent", None)
    return (get_parent("shell") if get_parent is not None else None) or {}
