"""The check of a script in a fork: a service that runs in this workspace has the heavy imports loaded already."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.targets import TargetFailure
from mldeploy_jupyter.targets.supervisor import Supervisor

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace import WorkspaceFolder

ANSWER = 15.0  # seconds between two signs of life: they come four times a second


def run_forked(folder: WorkspaceFolder, settings: dict[str, Any]) -> tuple[dict[str, Any], list[str]] | None:
    """The supervisor's answer (`serving/checking.py`) and what the script printed.

    None where no service of this workspace forks with the interpreter and the variables of `settings`, and when the
    script ended its process or spoke of forking: then a new process must show whether that was the fork's fault.
    """
    for place in _services(folder.services):
        supervisor = Supervisor(place)
        served = supervisor.live().get("settings") or {}
        if any(served.get(name) != settings[name] for name in ("python", "env")) or supervisor.running() is None:
            continue
        lines: list[str] = []

        def on_event(event: dict[str, Any], lines: list[str] = lines) -> None:
            if event.get("event") == "log":
                lines.append(event.get("text", ""))

        try:
            answer = supervisor.call("check", on_event, timeout=ANSWER, settings=settings)
        except TargetFailure:
            continue
        if answer.get("ok"):
            return None if _may_be_the_fork(answer) else (answer, lines)
    return None


def _may_be_the_fork(answer: dict[str, Any]) -> bool:
    if answer["result"] is None:
        return not answer["timed_out"]
    return "fork" in str((answer["result"].get("failure") or {}).get("message", "")).lower()


def _services(root: Path) -> list[Path]:
    """The folders of the services, the one that was changed last first."""
    found = []
    for place in root.iterdir() if root.is_dir() else ():
        try:
            found.append(((place / "live.json").stat().st_mtime_ns, place))
        except OSError:
            continue
    return [place for _, place in sorted(found, reverse=True)]
