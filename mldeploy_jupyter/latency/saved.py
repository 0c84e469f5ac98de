"""Runs that are kept in the workspace: `latency/<run id>/run.json`, the plan and how it ended, and `samples.bin`.

`run.json` is written when a run begins, when its rate is chosen, and again when it ends. A run whose process is gone
before that is interrupted: its samples are there up to that moment.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import WebserviceException
from mldeploy_jupyter.core.files import make_private_dir, read_json_if_valid, write_json
from mldeploy_jupyter.core.records import utc_now
from mldeploy_jupyter.core.storage_errors import explain_write_errors
from mldeploy_jupyter.latency.measuring import STOP_FILE, Ending
from mldeploy_jupyter.latency.plan import LatencyPlan
from mldeploy_jupyter.latency.recording import read_samples
from mldeploy_jupyter.serving.system.removal import remove_tree

if TYPE_CHECKING:
    import numpy as np

    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

FOLDER = "latency"

RUN_FILE, SAMPLES_FILE = "run.json", "samples.bin"

RUNNER_LOG = "runner.log"  # what a process of its own wrote that carried the run out: nothing, unless it failed

KEPT_RUNS = 50  # a run of ten minutes at 100 requests a second takes 4 MB

END_SECONDS = 60.0  # after its time limit in which a run's end is recorded

_ID = re.compile(r"\d{8}T\d{6}-[0-9a-f]{6}")


class RunNotFound(WebserviceException):
    """There is no such run of the latency lab."""

    code = "LatencyRunNotFound"


@dataclass(frozen=True)
class SavedRun:
    """One run in the workspace. `ending` is None while it is `running`, and of one that was interrupted."""

    id: str
    path: Path
    plan: LatencyPlan
    begun: str
    ending: Ending | None = None
    running: bool = False
    more: dict[str, Any] = field(default_factory=dict)  # what `finish_run` was given beside the ending

    @property
    def samples_path(self) -> Path:
        return self.path / SAMPLES_FILE

    def read_samples(self, skip: int = 0) -> np.ndarray[Any, Any]:
        """The samples from number `skip` on, as far as they are written (`recording.py`)."""
        return read_samples(self.samples_path, skip)


def create_run(folder: WorkspaceFolder, plan: LatencyPlan) -> SavedRun:
    """A new run, which this process carries out. Raises `StorageError` when it cannot be written."""
    begun = utc_now()
    run_id = f"{begun[:19].translate(str.maketrans('', '', '-:'))}-{os.urandom(3).hex()}"
    path = folder.root / FOLDER / run_id
    with explain_write_errors(path):
        make_private_dir(path)
        run = SavedRun(run_id, path, plan, begun, running=True)
        _write(run)
    return run


def hand_over(run: SavedRun, pid: int) -> None:
    """Records which process of this machine carries the run out. Raises `StorageError`."""
    with explain_write_errors(run.path):
        _write(run, process_identity.identify_process(pid))


def change_plan(run: SavedRun, plan: LatencyPlan) -> None:
    """Records what was chosen since the run began, for whoever reads it meanwhile. Raises `StorageError`."""
    with explain_write_errors(run.path):
        _write(replace(run, plan=plan))


def finish_run(run: SavedRun, ending: Ending, **more: Any) -> SavedRun:
    """Records how the run ended, and `more` JSON data about it, such as a summary for lists. Raises `StorageError`."""
    finished = SavedRun(run.id, run.path, run.plan, run.begun, ending, False, {**run.more, **more})
    with explain_write_errors(run.path):
        _write(finished)
    return finished


def request_stop(run: SavedRun) -> None:
    """Has the run ended within a second, whichever process carries it out. Raises `StorageError`."""
    with explain_write_errors(run.path):
        (run.path / STOP_FILE).touch(0o600)


def read_run(folder: WorkspaceFolder, run_id: str) -> SavedRun:
    """The run of that id. Raises `RunNotFound`, also for one whose file is damaged."""
    run = _read(folder.root / FOLDER / run_id) if isinstance(run_id, str) and _ID.fullmatch(run_id) else None
    if run is None:
        raise RunNotFound(
            f"there is no latency run {run_id}",
            why=f"the last {KEPT_RUNS} runs of a workspace are kept",
            hint="see them with `mldeploy latency list`",
        )
    return run


def list_runs(folder: WorkspaceFolder, service: str | None = None) -> list[SavedRun]:
    """The runs, newest first; with `service` those that measured it."""
    runs = [run for path in _run_folders(folder) if (run := _read(path)) is not None]
    return [run for run in runs if service is None or service in (each.name for each in run.plan.services)]


def prune_runs(folder: WorkspaceFolder, keep: int = KEPT_RUNS) -> list[str]:
    """Removes all but the newest `keep` runs, and returns the ids of the removed. A run in progress stays."""
    removed = []
    for path in _run_folders(folder)[keep:]:
        run = _read(path)
        if (run is None or not run.running) and not remove_tree(path):
            removed.append(path.name)
    return removed


def _run_folders(folder: WorkspaceFolder) -> list[Path]:
    try:
        names = os.listdir(folder.root / FOLDER)
    except OSError:
        return []
    return [folder.root / FOLDER / name for name in sorted(names, reverse=True) if _ID.fullmatch(name)]


def _write(run: SavedRun, process: dict[str, Any] | None = None) -> None:
    data = {
        "id": run.id,
        "begun": run.begun,
        "plan": run.plan.to_dict(),
        "process": process or process_identity.identify_process(),
        "ending": None if run.ending is None else run.ending.to_dict(),
        "more": run.more,
    }
    write_json(run.path / RUN_FILE, data)


def _read(path: Path) -> SavedRun | None:
    """None when the file is missing, damaged, or made by a version that this one does not understand."""
    data = read_json_if_valid(path / RUN_FILE)
    try:
        if data is None:
            return None
        ending = None if data.get("ending") is None else Ending.from_dict(data["ending"])
        plan, begun = LatencyPlan.from_dict(data["plan"]), str(data["begun"])
        # A process of another machine may live; but no run takes longer than its limit.
        alive = process_identity.is_alive(data.get("process") or {}) is not False
        age = (datetime.now(UTC) - datetime.fromisoformat(begun)).total_seconds()
        running = ending is None and alive and age < plan.max_seconds + END_SECONDS
        return SavedRun(path.name, path, plan, begun, ending, running, dict(data.get("more") or {}))
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
