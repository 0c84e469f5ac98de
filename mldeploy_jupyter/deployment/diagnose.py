"""Gathers what a cause is found from: the script and its cell, the models, the versions in the environment."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.core.errors import MldeployError

if TYPE_CHECKING:
    from mldeploy_jupyter.core.bundle.builder import Bundle
    from mldeploy_jupyter.core.diagnosis import Cause, ScriptInfo
    from mldeploy_jupyter.core.records import ModelRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.targets import LogLine


LOG_WAIT = 2.0  # seconds for what a worker wrote to be in the log: it passes through the supervisor


def of_failure(
    folder: WorkspaceFolder,
    failure: dict[str, Any],
    *,
    bundle_path: Path | None,
    inference: dict[str, Any],
    settings: dict[str, Any],
    models: list[ModelRecord],
    lock: str = "",
) -> Cause:
    """The cause of a target's failure, with the line of the cell where the script came from one."""
    from mldeploy_jupyter.core.bundle import builder
    from mldeploy_jupyter.core.diagnosis import explain

    failure = dict(failure)
    script = None
    if bundle_path is not None:
        made = builder.load(bundle_path)
        script = _bundled_script(folder, made, inference)
        root = made.app / "azureml-models"
        tree = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        failure.setdefault("model_tree", tree[:50])
        if failure.get("stage") in ("import", "init", "probe") and failure.get("exception"):
            failure.setdefault("damaged", builder.find_damaged_files(made))
    failure.setdefault("versions", _versions(lock))
    service = folder.open_store().get_service(str(settings.get("service") or ""))
    settings = {**settings, "updating": service is not None and service.revision > 0}
    return explain(failure, script=script, settings=settings, models=models)


def of_error(folder: WorkspaceFolder, error: MldeployError, inference: dict[str, Any]) -> Cause:
    """An error of ours as the cause of a deployment. One with a line of the script gets the line of its cell."""
    from mldeploy_jupyter.core.diagnosis import Cause
    from mldeploy_jupyter.core.script import notebook_cells

    where: str = error.where
    excerpt: list[dict[str, Any]] = []
    line = getattr(error, "line", 0)
    path = Path(inference.get("source_directory") or "", inference.get("entry_script") or "")
    if not inference.get("source_directory"):
        path = Path(inference.get("entry_path") or "")
    if line and path.is_file():
        content = path.read_bytes()
        cell = notebook_cells.find(folder.cells, notebook_cells.script_digest(content))
        if cell is not None:
            where = notebook_cells.where(cell, line, newest=notebook_cells.newest_version(folder.cells, cell.file))
            excerpt = notebook_cells.excerpt(cell, line)
        else:
            excerpt = notebook_cells.lines_around(content.decode("utf-8", "replace"), line)
    return Cause(error.code, error.what, error.why, error.hint, where, excerpt)


def of_defect(error: Exception) -> Cause:
    """A defect of ours: its traceback is in the journal."""
    from mldeploy_jupyter.core.diagnosis import Cause

    return Cause(
        "InternalError",
        "a defect of mldeploy stopped the deployment",
        f"{type(error).__name__}: {error}",
        "report it with the journal of the deployment, which has the traceback",
    )


def _raised_at(request_id: str, entries: Iterable[LogLine]) -> tuple[str, list[str], bool]:
    """The exception logged at a request, the lines of its traceback, and whether the log has its answer already.

    Every line of them carries the request's id.
    """
    mark = f"[{request_id}] "
    found = [entry for entry in entries if mark in entry.text]
    lines = [line for entry in found for line in entry.text.split("\n")]
    own = [line.removeprefix(mark) for line in lines if line.startswith(mark)]
    raised = next((text.removeprefix("run() raised ") for text in own if text.startswith("run() raised ")), "")
    return raised, own, any(entry.entry.get("logger") == "access" for entry in found)


def _bundled_script(folder: WorkspaceFolder, made: Bundle, inference: dict[str, Any]) -> ScriptInfo:
    from mldeploy_jupyter.core.diagnosis import ScriptInfo
    from mldeploy_jupyter.core.script import notebook_cells

    content = (made.app / made.entry_script).read_bytes()
    cell = notebook_cells.find(folder.cells, notebook_cells.script_digest(content))
    name = Path(made.entry_script).relative_to(made.manifest["source_directory"])
    original = Path(inference.get("entry_path") or "").parent
    shipped = {path.name for path in (made.app / made.entry_script).parent.iterdir()}
    beside = []
    if inference.get("entry_path") and original.is_dir():
        for path in sorted(original.iterdir()):
            if path.name not in shipped and (path.suffix == ".py" or (path / "__init__.py").is_file()):
                beside.append(path.name)
    return ScriptInfo(
        name=str(name),
        path=made.entry_script,
        text=content.decode("utf-8", "replace"),
        cell=cell,
        newest=notebook_cells.newest_version(folder.cells, cell.file) if cell else 0,
        beside=tuple(beside),
    )


def _versions(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", lock, re.MULTILINE))
