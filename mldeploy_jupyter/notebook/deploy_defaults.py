"""What `%deploy` and `%update` take where no option names it, the script and the models; what `%%entry_script` writes.

What a live service was made from stays its own, unless something new was written or registered for it. A script that
another service has is refused, and one that this notebook did not write is not written over.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.lookup import find_namesake
from mldeploy_jupyter.commands.script_defaults import find_script
from mldeploy_jupyter.core.errors import EntryScriptError
from mldeploy_jupyter.core.script.notebook_cells import describe_cell, find_cell, script_digest
from mldeploy_jupyter.notebook.session import Session, cell_id, notebook_path

if TYPE_CHECKING:
    from mldeploy_jupyter.core.records import RevisionRecord
    from mldeploy_jupyter.core.script.notebook_cells import CellRecord
    from mldeploy_jupyter.core.store.store import Store
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

AS_IT_IS = "as the service has it"
ENTRY_SCRIPT = "%%entry_script"
DEFAULT_FILE = "score.py"  # of a cell that names none
PACKAGE = Path(__file__).parents[1]  # its script for models of MLflow is not the user's

NAMESAKE = "the service's name"
LAST_REGISTERED = "registered last in this session"


@dataclass(frozen=True)
class Origin:
    """What a service was made from: its live revision, or, before one was live, what its last deployment was to be.

    `time` is when that was asked for, in UTC as records have it.
    """

    live: bool
    inference_config: dict[str, Any]
    models: list[str]
    time: str
    script_digest: str = ""  # SHA-256 of the script that serves; "" when it is not known


def read_origin(folder: WorkspaceFolder | None, name: str | None) -> Origin | None:
    """What the service was made from; None when there is no such service."""
    store = folder.open_store() if folder is not None and name else None
    service = store.get_service(name) if store is not None and name else None
    if folder is None or store is None or service is None:
        return None
    revision = store.get_revision(service.name, service.revision) if service.revision else None
    if revision is not None:
        digest = _bundled_digest(folder, revision)
        return Origin(True, revision.inference_config, list(revision.models), revision.created_time, digest)
    deployment = store.get_deployment(service.deployment_id)
    if deployment is None:
        return None
    request = deployment.request
    return Origin(
        False, request.get("inference_config") or {}, list(request.get("models") or []), deployment.created_time
    )


def choose_script(session: Session, service: tuple[str, str], origin: Origin | None) -> tuple[Path | None, str]:
    """The script to deploy as the service (its workspace's id and name), and where it comes from.

    The session's script is for a service that is new, for the one it was deployed as last, and, until it has been
    deployed, for any. Raises `EntryScriptError` when the live service's own script is gone.
    """
    own = find_script(origin) if origin is not None else None
    script = session.script
    if script is not None and (origin is None or _is_meant(session, script, service)):
        return script, describe_script(session, script)
    if own is not None:
        return own, AS_IT_IS
    if origin is not None and origin.live:
        path = origin.inference_config.get("entry_path")
        raise EntryScriptError(
            f"the script of {service[1]} is gone",
            why=f"there is no file {path}" if path else "the service's record does not name its file",
            hint=f"write it again with %%entry_script, or name its file: %deploy {service[1]} --script FILE",
        )
    if script is not None:
        return script, describe_script(session, script)
    return (Path("score.py").absolute(), "found here") if Path("score.py").is_file() else (None, "")


def describe_script(session: Session, script: Path) -> str:
    """What is said of a script of this session: which cell wrote it, and when."""
    record = session.cells.get(script)
    return f"the last %%entry_script, {describe_cell(record)}" if record is not None else "as the file is now"


def describe_change(session: Session, script: Path, folders: Iterable[WorkspaceFolder | None]) -> str:
    """Who wrote the script's file after this session; "" when it is what this session wrote, or never wrote.

    `folders` are the workspaces that may know another cell that wrote it.
    """
    record = session.cells.get(script)
    try:
        digest = script_digest(script.read_bytes())
        changed_at = datetime.fromtimestamp(script.stat().st_mtime)
    except OSError:  # a missing file has an error of its own
        return ""
    if record is None or digest == record.script_digest:
        return ""
    cells = (find_cell(folder.cells, digest) for folder in folders if folder is not None)
    other = next((cell for cell in cells if cell is not None), None)
    by = describe_cell(other) if other is not None else f"another program, at {changed_at:%H:%M}"
    return f"it was written by {describe_cell(record)}, and then by {by}"


def choose_models(
    session: Session,
    service: tuple[str, str],
    script: Path | None,
    registered: Sequence[str],
    origin: Origin | None,
    store: Store | None,
) -> tuple[list[str], str]:
    """The models to deploy with the script, and where they come from.

    `registered` are the ids of the models that this session registered in the workspace, oldest first. A service keeps
    its own, in newer versions that were registered since. A script that was written since its last deployment brings
    the models it was checked with, else the model registered last unless another service has that. A new service gets
    the model that it is named after, unless its script was checked with others.
    """
    last = list(registered[-1:])
    own = _with_newer_versions(origin, registered, store)
    meant = _is_meant(session, script, service)
    if origin is None or meant:
        checked_here = session.workspace == service[0] != ""
        if session.named_models and checked_here:
            return list(session.named_models), "those of the last %%entry_script"
        # None was registered since the script's check.
        if session.passed_models and checked_here and last == session.registered_before:
            return list(session.passed_models), "those of the last %%entry_script"
        namesake = find_namesake(store, service[1]) if origin is None and store is not None and service[1] else ""
        if namesake:
            return [namesake], LAST_REGISTERED if [namesake] == last else NAMESAKE
    if origin is not None and (
        (origin.live and not (meant and session.script_service is None))
        or any(_name(model) in map(_name, own) for model in last)
        or (store is not None and any({*store.services_using(model)} - {service[1]} for model in last))
    ):
        changed = LAST_REGISTERED if own == last else "its own, with the versions registered since"
        return own, AS_IT_IS if own == origin.models else changed
    return (last, LAST_REGISTERED) if last else (own, AS_IT_IS)


def refuse_script_of_another(folder: WorkspaceFolder, name: str, script: Path, origin: Origin, line: str) -> None:
    """Raises `EntryScriptError` when the script would put what another live service serves into this one.

    That is the other's file, or a file of both in which a cell has written the other's script since. The same cell may
    have written both: then the script goes from one service to the next. `line` is the magic with the service's name.
    """
    if not origin.live:
        return
    others = [
        revision
        for revision in folder.open_store().list_revisions(outcome="live")
        if revision.service != name and revision.inference_config.get("entry_path") == str(script)
    ]
    if not others:
        return
    why = f"{name} has a script of its own, {Path(origin.inference_config.get('entry_path') or '').name}"
    if script == find_script(origin):
        try:
            digest = script_digest(script.read_bytes())
        except OSError:
            return
        others = [revision for revision in others if _bundled_digest(folder, revision) == digest]
        if digest == origin.script_digest or not others or _is_of_one_cell(folder, digest, origin.script_digest):
            return
        why = f"it was written for that since {name} was deployed"
    other, file = others[0].service, shlex.quote(script.name if script.parent == Path.cwd() else str(script))
    raise EntryScriptError(
        f"{script.name} is the script of {other}",
        why=why,
        hint=f"{line.split()[0]} {other} if you mean that; {line} --script {file} puts it into {name}, too",
        code="ScriptOfAnother",
    )


def choose_file(session: Session, folder: WorkspaceFolder | None, updated: str | None, text: str) -> tuple[str, str]:
    """The file of a cell that names none, the script of the service `updated` or score.py, and a note about it.

    `text` is the cell's. A script of this notebook that another service serves is written over, which the note says:
    its own cell has it. Raises `UsageError` for a script that this notebook did not write.
    """
    origin = read_origin(folder, updated) if updated else None
    script = find_script(origin) if origin is not None else None
    if script is None or script.is_relative_to(PACKAGE):
        script = Path(DEFAULT_FILE).absolute()
    name = relative_path(script)
    try:
        content = script.read_bytes()
    except OSError:  # there is none, or writing it says what is wrong
        return name, ""
    if content == text.encode("utf-8", "surrogatepass"):
        return name, ""
    written = _find_own_cell(session, folder, script, content)
    services = [each for each in _services_of(folder, script) if each != updated]
    if written is None:
        raise _not_replaced(session, folder, script, content, services)
    here, names = cell_id(session.shell), ", ".join(services)
    if not services or not here or written.cell_id in ("", here):
        return name, ""
    keeping = f"A name keeps both: {ENTRY_SCRIPT} {_free_name(script)}"
    return name, f"{name} was the script of {names}, written by {describe_cell(written)}. {keeping}"


def _is_meant(session: Session, script: Path | None, service: tuple[str, str]) -> bool:
    """Whether the script is the session's, and not deployed since it was written, or last as this service."""
    return script is not None and script == session.script and session.script_service in (None, service)


def _with_newer_versions(origin: Origin | None, registered: Sequence[str], store: Store | None) -> list[str]:
    """The service's models, each in the newest version that this session has registered since."""
    newest = {}
    for model in registered if origin is not None and store is not None else ():
        assert origin is not None and store is not None
        name, _, version = model.partition(":")
        record = store.get_model(name, int(version)) if version.isdigit() else None
        if record is not None and record.created_time > origin.time:
            newest[name] = model
    models = origin.models if origin is not None else []
    return [newest.get(_name(model), model) for model in models]


def _name(model: str) -> str:
    return model.partition(":")[0]


def _bundled_digest(folder: WorkspaceFolder, revision: RevisionRecord) -> str:
    """The SHA-256 of a revision's script; "" when its bundle cannot be read."""
    from mldeploy_jupyter.core.bundle import builder

    try:
        bundle = builder.load(folder.bundles / revision.bundle_digest)
        return str(bundle.manifest["files"][f"app/{bundle.entry_script}"][0])
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _is_of_one_cell(folder: WorkspaceFolder, digest: str, other: str) -> bool:
    """Whether one cell wrote both scripts, or no cell wrote the first."""
    first, second = find_cell(folder.cells, digest), find_cell(folder.cells, other) if other else None
    if first is None:
        return True
    return second is not None and bool(first.cell_id) and first.cell_id == second.cell_id


def _find_own_cell(session: Session, folder: WorkspaceFolder | None, script: Path, content: bytes) -> CellRecord | None:
    """The cell of this notebook that wrote what is in the file, so that it still has it; None without one."""
    digest = script_digest(content)
    record = session.cells.get(script)
    if record is not None and record.script_digest == digest:
        return record
    record = find_cell(folder.cells, digest) if folder is not None else None
    if record is None or record.file != str(script):
        return None
    here = notebook_path(session.shell)
    is_cell = record.cell_id == cell_id(session.shell) != ""
    # Without a file it was renamed, which the kernels of both names cannot know.
    is_other = bool(here and record.notebook) and here != record.notebook and os.path.exists(record.notebook)
    return record if is_cell or not is_other else None


def _not_replaced(
    session: Session, folder: WorkspaceFolder | None, script: Path, content: bytes, services: list[str]
) -> UsageError:
    name = relative_path(script)
    other = find_cell(folder.cells, script_digest(content)) if folder is not None else None
    if other is not None and other.file == str(script):
        why = f"it was written by {describe_cell(other)}"
    else:
        why = describe_change(session, script, []) or "no cell of this notebook wrote what is in it"
    if services:
        why += f"; {', '.join(services)} {'was' if len(services) == 1 else 'were'} deployed from it"
    return UsageError(
        f"{name} is there already, and is kept",
        why=why,
        hint=f"name a file of the cell's own, such as {ENTRY_SCRIPT} {_free_name(script)}, or overwrite it: "
        f"{ENTRY_SCRIPT} {shlex.quote(name)}",
    )


def _free_name(script: Path) -> str:
    numbered = (script.with_name(f"{script.stem}{number}.py") for number in range(2, 1000))
    return shlex.quote(relative_path(next((path for path in numbered if not path.exists()), script)))


def _services_of(folder: WorkspaceFolder | None, script: Path) -> list[str]:
    """The services whose live revision came from the file, by name."""
    if folder is None:
        return []
    live = folder.open_store().list_revisions(outcome="live")
    return sorted({one.service for one in live if one.inference_config.get("entry_path") == str(script)})


def relative_path(path: Path) -> str:
    """The path as a person in the current folder would type it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
