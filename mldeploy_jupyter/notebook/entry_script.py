"""`%%entry_script`: writes the cell as a script, then checks that it can serve."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mldeploy_jupyter.commands import script as script_command
from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.grammar import Args, Command, Context, Param, Result
from mldeploy_jupyter.commands.options import REPLAY
from mldeploy_jupyter.commands.script import ENVIRONMENT_PARAMS, Script
from mldeploy_jupyter.core.errors import MldeployError, StorageError, WorkspaceError
from mldeploy_jupyter.notebook import live_edit
from mldeploy_jupyter.notebook.deploy_defaults import ENTRY_SCRIPT, choose_file
from mldeploy_jupyter.notebook.session import (
    FailedCheck,
    Session,
    cell_id,
    notebook_path,
    prompt_number,
    raw_cell,
    registered_models,
)

if TYPE_CHECKING:
    from mldeploy_jupyter.core.script.notebook_cells import CellRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

# Codes of errors that say nothing about the script.
_UNRELATED = ("Interrupted", "WebserviceNotFound", "DeploymentInProgress")

PARAMS: tuple[Param, ...] = (
    Param(
        "file",
        (),
        "The file to write. Default: score.py, or with --update the script of that service.",
        completion="script",
        metavar="FILE",
    ),
    Param(
        "models",
        ("--model", "-m"),
        "A registered model for the check, name or name:version; may be repeated. Default: the one that this very "
        "script passed with before, else the one registered last in this session.",
        "list",
        completion="model",
        metavar="MODEL",
    ),
    Param(
        "update",
        ("--update", "-u"),
        "A service on this machine that gets the script at once. The check is then the new revision's own start; the "
        "old one keeps serving if it fails.",
        completion="service",
        metavar="SERVICE",
    ),
    REPLAY,
    Param("no_check", ("--no-check",), "Write the file without running init() and the sample.", "switch"),
    *ENVIRONMENT_PARAMS,
)

DOC = """Write the cell as an entry script, and check that it can serve.

An entry script defines init(), called once, and run(...), called for each request. init() and the sample
(of @input_schema) are run in a clean interpreter with the files a service has, so a name that exists only in
the notebook is found here and not after the deployment. With --update the script goes live at once in a service that
runs."""


def command(session: Session, cell: str) -> Command:
    """The magic as a command that has the text of its cell."""

    def run(context: Context, args: Args) -> Result:
        return write_and_check(session, context, args, cell)

    return Command(("entry_script",), DOC, PARAMS, run, "entry_script score.py")


def write_and_check(session: Session, context: Context, args: Args, cell: str) -> Result:
    """Writes the cell to its file and checks the script, or, with `--update`, lets it go live.

    The file is written even if the script fails, so that file and cell agree; the session remembers the failure.
    Raises `EntryScriptError` with the line of the cell for a script that cannot serve.
    """
    if args.update:
        live_edit.refuse_check_options(args)
    text = cell if cell.endswith("\n") else cell + "\n"
    name = args.file
    if not name:
        name, note = choose_file(session, _find_folder(context, args.path), args.update, text)
        context.note(note) if note else None
    path = write_file(name, text)
    folder = context.workspace(args.path, write=True).folder
    record = _record_cell(session, folder, path, text, cell)
    session.script, session.script_is_new, session.failed_check = path, True, None
    session.script_service = None
    session.source_directory = Path(args.source_directory).expanduser().absolute() if args.source_directory else None
    session.cells[path] = record
    session.workspace = folder.id
    models = _choose_models(session, args.path, record.script_digest, list(args.models or []))
    script = Script(path, name, text, record, session.namespace)
    try:
        line = _check(session, context, args, script, models, folder)
    except MldeployError as error:
        if error.code not in _UNRELATED:
            session.failed_check = _failed_check(script, error, models, folder.id)
        raise
    context.write_lines(line)
    python = write_program(name, cell)
    return Result(python=f"{python}\n\n{live_edit.reload_program(name, args)}" if args.update else python)


def _find_folder(context: Context, path: str | None) -> WorkspaceFolder | None:
    """The workspace if there is one: nothing is made before the cell is known to be written."""
    with suppress(WorkspaceError):
        folder: WorkspaceFolder = context.workspace(path).folder
        return folder
    return None


def _check(
    session: Session, context: Context, args: Args, script: Script, models: list[str], folder: WorkspaceFolder
) -> str:
    """Checks the script as the options say; returns the line that tells the result."""
    script_command.check_source(script)
    script_command.show_source_warnings(context, script)
    if args.update:
        return live_edit.go_live(session, context, args, script.path)
    if args.no_check:
        return f"wrote {script.name}, not checked"
    checked = script_command.run_check(context, args, script, models, folder)
    if not args.models and script.cell is not None:
        session.checked_models[folder.id, script.cell.script_digest] = [_model_name(model) for model in models]
    return script_command.ok_line(script, checked)


def _failed_check(script: Script, error: MldeployError, models: list[str], workspace: str) -> FailedCheck:
    why = next(iter((error.why or error.what).splitlines()), "")
    if error.why and not error.where:  # no line of the cell that tells what is meant
        why = f"{error.what}: {why}"
    return FailedCheck(script.path, script.text, why, error.where, tuple(models), workspace)


def _choose_models(session: Session, path: str | None, digest: str, named: list[str]) -> list[str]:
    """The models for the check: the named ones, else those that this script passed with before, else the last one.

    A cell that is run again unchanged means the model it was written for, even if another was registered since.
    """
    last = registered_models(path)[-1:]
    passed = session.checked_models.get((session.workspace, digest), [])
    if passed == [_model_name(model) for model in last]:
        passed = []  # the same model: take its newest version
    session.named_models = named
    session.passed_models, session.registered_before = passed, last
    return named or passed or last


def _model_name(model: str) -> str:
    return model.partition(":")[0]


def write_program(name: str, cell: str) -> str:
    """The Python that writes the file."""
    if "'''" not in cell and "\\" not in cell:
        return f"from pathlib import Path\n\nPath({name!r}).write_text('''\\\n{cell.rstrip()}\n''')"
    return f"from pathlib import Path\n\nPath({name!r}).write_text({cell!r})"


def _record_cell(session: Session, folder: WorkspaceFolder, path: Path, text: str, cell: str) -> CellRecord:
    """Records the cell that the script came from, so that errors in the service name the line of the cell."""
    from mldeploy_jupyter.core.records import utc_now
    from mldeploy_jupyter.core.script import notebook_cells

    source, offset = locate_script(raw_cell(session.shell), path.name, cell)
    record = notebook_cells.CellRecord(
        script_digest=notebook_cells.script_digest(text),
        file=str(path),
        source=source,
        offset=offset,
        cell_id=cell_id(session.shell),
        notebook=notebook_path(session.shell),
        execution_count=prompt_number(session.shell),
        time=utc_now(),
    )
    return notebook_cells.save_cell(folder.cells, record)


def write_file(name: str, text: str) -> Path:
    """Writes the script; its mode stays. Raises `UsageError` for a name that cannot be a script, `StorageError`."""
    from mldeploy_jupyter.core.files import atomic_write

    path = Path(name).expanduser().absolute()
    if path.suffix != ".py":
        raise UsageError(
            f"{name} is not a Python file", why="its name must end in .py", hint=f"write {ENTRY_SCRIPT} {name}.py"
        )
    if not path.parent.is_dir():
        raise UsageError(
            f"{name} cannot be written", why=f"there is no folder {path.parent}", hint="make the folder first"
        )
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        atomic_write(path, text, mode=mode, durable=False)  # not durable: the cell has the text, too
    except OSError as error:
        raise StorageError(
            f"{name} cannot be written", why=error.strerror or str(error), hint="choose a folder that you may write in"
        ) from error
    return path


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def locate_script(raw: str, name: str, cell: str) -> tuple[str, int]:
    """The whole cell as typed, and how many of its lines precede the script's first.

    The cell is made up when the magic was run by code.
    """
    lines = raw.split("\n")
    for index, line in enumerate(lines):
        if line.lstrip().startswith(ENTRY_SCRIPT):
            return raw, index + 1
        if line.strip():
            break
    return f"{ENTRY_SCRIPT} {name}\n{cell}", 1
