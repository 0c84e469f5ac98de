"""`%%entry_script`: writes the cell as a script and proves that it can serve before it says ok."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.grammar import Args, Command, Context, Param, Result
from mldeploy_jupyter.core.errors import EntryScriptError, MldeployError, StorageError
from mldeploy_jupyter.notebook import live_edit, script_warnings
from mldeploy_jupyter.notebook.session import FailedCheck, Session, cell_id, notebook_path, prompt_number, raw_cell

if TYPE_CHECKING:
    from mldeploy_jupyter.core.script.notebook_cells import CellRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.deployment.script_check import ScriptCheck

MAGIC = "%%entry_script"
OUTPUT_LINES = 20  # of what the script printed
VALUE_COLUMNS = 60
_NOT_THE_SCRIPT = ("Interrupted", "WebserviceNotFound", "DeploymentInProgress")  # these say nothing of the script

PARAMS: tuple[Param, ...] = (
    Param("file", (), "The file to write. Default score.py.", completion="script", metavar="FILE"),
    Param("models", ("--model", "-m"), "A registered model for the check, name or name:version; may be repeated. "
          "Default: the one this very script passed with before, else the one registered last in this session.",
          "list", completion="model", metavar="MODEL"),
    Param("update", ("--update", "-u"), "A service on this machine that gets the script at once. The check is then the "
          "new revision's own start; the old one serves on if it fails.", completion="service", metavar="SERVICE"),
    Param("no_check", ("--no-check",), "Write the file without running init() and the sample.", "switch"),
    Param("conda_file", ("--conda-file",), "Check in the environment of this conda file, made if it is not there yet. "
          "Default: the kernel's own interpreter.", completion="file", metavar="FILE"),
    Param("requirements_file", ("--requirements", "--requirements-file"), "The same for a requirements file.",
          completion="file", metavar="FILE"),
    Param("init_timeout", ("--init-timeout",), "Seconds that init() may take. Default 300.", "number",
          metavar="SECONDS"),
)  # fmt: skip

DOC = """Write the cell as an entry script, and check that it can serve.

An entry script defines init(), called once, and run(...), called for each request. init() and the sample
(of @input_schema) are run in a clean interpreter with the files a service has, so a name that lives only in
the notebook is found here and not after the deployment. With --update the script goes live at once in a service that
runs."""


def command(session: Session, cell: str) -> Command:
    """The magic as a command over the text of its cell."""

    def run(context: Context, args: Args) -> Result:
        return write(session, context, args, cell)

    return Command(("entry_script",), DOC, PARAMS, run, "entry_script score.py")


def write(session: Session, context: Context, args: Args, cell: str) -> Result:
    """Writes, remembers and checks the script.

    The file is written in any case, so that it is what the cell says; the session knows when it failed. Raises
    `EntryScriptError` with the line of the cell for a script that cannot serve.
    """
    name = args.file or "score.py"
    python = python_of(name, cell)
    if args.update:
        live_edit.refuse_others(args)
    text = cell if cell.endswith("\n") else cell + "\n"
    path = _write_file(name, text)
    folder = context.workspace(args.path, write=True).folder
    record = remember(session, folder, path, text, cell)
    session.script, session.script_is_new, session.failed_check = path, True, None
    models = _models(session, context, record.script_digest, list(args.models or []))
    try:
        _check_source(text, name, record)
        for warning in script_warnings.of_source(text, record.offset, session.namespace):
            print(f"warning: {warning}")
        if args.update:
            print(live_edit.go_live(session, context, args, path))
            return Result(python="\n\n".join([python, live_edit.python_of(name, args)]))
        if args.no_check:
            print(f"wrote {name}, not checked")
            return Result(python=python)
        print(_check_run(session, path, name, text, record, folder, models, args))
        if not args.models:
            session.checked_models[record.script_digest] = [model.partition(":")[0] for model in models]
    except MldeployError as error:
        if error.code not in (
            "Interrupted",
            "WebserviceNotFound",
            "DeploymentInProgress",
        ):  # then nothing is known of the script
            why = next(iter((error.why or error.what).splitlines()), "")
            if error.why and not error.where:  # of a line of the cell the why says enough
                why = f"{error.what}: {why}"
            session.failed_check = FailedCheck(path, text, why, error.where, tuple(models))
        raise
    return Result(python=python)


def _models(session: Session, context: Context, digest: str, named: list[str]) -> list[str]:
    """The models for the check: those that are named, else those this script passed with before, else the last.

    A cell that is run again as it was means the model it was written for, also when another was registered meanwhile.
    """
    last = list(context.defaults.get("models") or [])
    before = session.checked_models.get(digest, [])
    if before == [model.partition(":")[0] for model in last]:
        before = []  # the same model, and its newest version
    session.named_models = named
    session.passed_models, session.registered_before = before, last
    return named or before or last


def python_of(name: str, cell: str) -> str:
    """The Python that does what the magic does, but for the check."""
    if "'''" not in cell and "\\" not in cell:
        return f"from pathlib import Path\n\nPath({name!r}).write_text('''\\\n{cell.rstrip()}\n''')"
    return f"from pathlib import Path\n\nPath({name!r}).write_text({cell!r})"


def remember(session: Session, folder: WorkspaceFolder, path: Path, text: str, cell: str) -> CellRecord:
    """Keeps which cell the script came from, so that an error in the service names the line of the cell."""
    from mldeploy_jupyter.core.records import utc_now
    from mldeploy_jupyter.core.script import notebook_cells

    source, offset = _as_typed(raw_cell(session.shell), path.name, cell)
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
    return notebook_cells.save(folder.cells, record)


def _write_file(name: str, text: str) -> Path:
    from mldeploy_jupyter.core.files import atomic_write

    path = Path(name).expanduser().absolute()
    if path.suffix != ".py":
        raise UsageError(
            f"{name} is not a Python file", why="its name must end in .py", hint=f"write {MAGIC} {name}.py"
        )
    if not path.parent.is_dir():
        raise UsageError(
            f"{name} cannot be written", why=f"there is no folder {path.parent}", hint="make the folder first"
        )
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        atomic_write(path, text, mode=mode, durable=False)  # the cell has it, too
    except OSError as error:
        raise StorageError(
            f"{name} cannot be written", why=error.strerror or str(error), hint="choose a folder that you may write in"
        ) from error
    return path


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _as_typed(raw: str, name: str, cell: str) -> tuple[str, int]:
    """The whole cell, and how many of its lines stand before the script's first."""
    lines = raw.split("\n")
    for index, line in enumerate(lines):
        if line.lstrip().startswith(MAGIC):
            return raw, index + 1
        if line.strip():
            break
    return f"{MAGIC} {name}\n{cell}", 1


def _check_source(text: str, name: str, record: CellRecord) -> None:
    from mldeploy_jupyter.core.script import entry_script, notebook_cells

    try:
        entry_script.check(text, name)
    except EntryScriptError as error:
        if error.line:
            error.where = notebook_cells.where(record, error.line, newest=record.version)
            error.excerpt = notebook_cells.excerpt(record, error.line)
        error.hint = f"{error.hint} ({name} is written as the cell says)"
        raise


def _check_run(
    session: Session,
    path: Path,
    name: str,
    text: str,
    record: CellRecord,
    folder: WorkspaceFolder,
    models: list[str],
    args: Args,
) -> str:
    """Runs the script in a clean interpreter; the line that says ok. Raises `EntryScriptError`."""
    from mldeploy_jupyter.deployment.script_check import check_script, find_models

    records = find_models(folder, models)
    python, variables = _interpreter(args)
    try:
        ran = check_script(
            folder,
            path,
            records,
            python=python,
            init_timeout=args.init_timeout or 300.0,
            variables=variables,
        )
    except KeyboardInterrupt:
        raise EntryScriptError(
            f"the check of {name} was interrupted",
            why="its process was ended; the file is written",
            hint=f"run the cell again, or write {MAGIC} {name} --no-check",
            code="Interrupted",
        ) from None
    said = {f"warning: {warning}" for warning in ran.result.get("warnings") or []}  # these are shown below
    _print_output([line for line in ran.output if line not in said])
    if not ran.ok:
        raise _as_error(ran, name, text, record)
    for warning in script_warnings.of_run(ran.result.get("warnings") or [], text, record.offset):
        print(f"warning: {warning}")
    return _ok_line(name, ran)


def _as_error(ran: ScriptCheck, name: str, text: str, record: CellRecord) -> MldeployError:
    from mldeploy_jupyter.core.diagnosis import ScriptInfo

    cause = ran.explain(ScriptInfo(name, ran.settings["entry_script"], text, record, record.version))
    error = EntryScriptError(cause.what, why=cause.why, hint=cause.hint, where=cause.where, code=cause.code)
    error.excerpt = cause.excerpt
    return error


def _interpreter(args: Args) -> tuple[str, dict[str, str]]:
    """The interpreter of the check and the environment's variables."""
    if args.conda_file is None and args.requirements_file is None:
        return sys.executable, {}
    from mldeploy_jupyter import environments
    from mldeploy_jupyter.api.environments.environment import Environment

    if args.conda_file is not None:
        environment = Environment.from_conda_specification("check", args.conda_file)
    else:
        environment = Environment.from_pip_requirements("check", args.requirements_file)
    spec = environment.to_spec()
    prepared = environments.prepare(spec, kernel_python=sys.executable)
    if prepared.built:
        print(f"made the environment {prepared.digest[:8]} in {prepared.seconds:.1f} s")
    return prepared.python, dict(spec.environment_variables)


def _print_output(lines: list[str]) -> None:
    from mldeploy_jupyter.core.text import clean

    left = len(lines) - OUTPUT_LINES
    if left > 0:
        print(f"  | ({left} lines before)")
    for line in lines[-OUTPUT_LINES:]:
        print(f"  | {clean(line, colour=False)}")


def _ok_line(name: str, ran: ScriptCheck) -> str:
    from mldeploy_jupyter.core.journal import duration

    result = ran.result
    seconds = result.get("init_seconds")
    parts = [f"init {duration(seconds if seconds is not None else ran.seconds)}"]
    sample = result.get("sample")
    if sample:
        shown = f"{_request(sample.get('input'))} -> {_short(sample.get('output'))}"
        parts.append(f"sample {shown} in {duration(sample.get('seconds'))}")
    else:
        parts.append("run() was not called: @input_schema would give it a sample")
    if ran.models:
        parts.append("model " + ", ".join(model.id for model in ran.models))
    return f"ok: {name} ({', '.join(parts)})"


def _request(body: Any) -> str:
    # One parameter: its value says enough. An answer is shown as it is.
    return _short(next(iter(body.values())) if isinstance(body, dict) and len(body) == 1 else body)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_COLUMNS else text[: VALUE_COLUMNS - 1] + "…"
