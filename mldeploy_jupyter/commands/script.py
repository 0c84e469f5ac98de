"""`mldeploy script check`: checks that an entry script can serve. `%%entry_script` runs the same check."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.grammar import Args, Command, Context, Param, Result
from mldeploy_jupyter.core.errors import EntryScriptError, MldeployError
from mldeploy_jupyter.core.text import clean, printable_line

if TYPE_CHECKING:
    from mldeploy_jupyter.core.script.notebook_cells import CellRecord
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder
    from mldeploy_jupyter.deployment.script_check import ScriptCheck

INIT_TIMEOUT = 300.0  # seconds, as of a service
OUTPUT_LINES = 20  # of the script's output that are shown
VALUE_COLUMNS = 28  # of a request or a response that are shown


@dataclass(frozen=True, eq=False)
class Script:
    """An entry script to check. `cell` is the run of the notebook cell that wrote it; its lines are then the cell's.

    `notebook_names` are the variables of the notebook, which a service does not have.
    """

    path: Path
    name: str  # as the user calls it
    text: str
    cell: CellRecord | None = None
    notebook_names: Container[str] = ()

    @property
    def offset(self) -> int:
        """How many lines of the cell precede the script's first."""
        return self.cell.offset if self.cell is not None else 0


def check(context: Context, args: Args) -> Result:
    script = _read_script(args.file)
    check_source(script)
    folder = context.workspace(args.path, write=True).folder
    show_source_warnings(context, script)
    checked = run_check(context, args, script, args.models or [], folder)
    data = {
        "file": script.name,
        "initSeconds": checked.result.get("init_seconds"),
        "sample": checked.result.get("sample"),
        "models": [model.id for model in checked.models],
        "warnings": [*source_warnings(script), *run_warnings(script, checked)],
    }
    return Result(data, ok_line(script, checked), data)


def _read_script(file: str) -> Script:
    path = Path(file).absolute()
    try:
        return Script(path, file, path.read_text("utf-8"))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
    except UnicodeDecodeError:
        why = "it is not UTF-8 text"
    raise UsageError(f"{file} cannot be read", why=why, hint="check the path and run the command again")


def check_source(script: Script) -> None:
    """Checks the source without running it: syntax, functions, names. Raises `EntryScriptError` with the line."""
    from mldeploy_jupyter.core.script import name_check, notebook_cells

    try:
        name_check.check_source(script.text, script.name, script.notebook_names)
    except EntryScriptError as error:
        if script.cell is not None:
            if error.line:
                error.where = notebook_cells.describe_line(script.cell, error.line, newest=script.cell.version)
                error.excerpt = notebook_cells.cell_excerpt(script.cell, error.line)
            error.hint = f"{error.hint} ({script.name} is written as the cell says)"
        raise


def run_check(context: Context, args: Args, script: Script, models: list[str], folder: WorkspaceFolder) -> ScriptCheck:
    """Runs `init()` and the sample in a clean interpreter, and notes the script's output and the run's warnings.

    `args` has the options of `ENVIRONMENT_PARAMS`. Raises `EntryScriptError` when the script cannot serve.
    """
    from mldeploy_jupyter.deployment.script_check import check_script, find_models

    records = find_models(folder, models)
    source_directory = _source_directory(args, script)
    python, variables = _prepare_interpreter(context, args)
    progress = CheckProgress(context, script.name, [record.id for record in records])
    try:
        checked = check_script(
            folder,
            script.path,
            records,
            python=python,
            source_directory=source_directory,
            init_timeout=args.init_timeout or INIT_TIMEOUT,
            variables=variables,
            on_progress=progress.update,
        )
    except KeyboardInterrupt:
        again = f"%%entry_script {script.name} --no-check" if script.cell is not None else ""
        raise EntryScriptError(
            f"the check of {script.name} was interrupted",
            why="its process was ended; the file is written" if again else "its process was ended",
            hint=f"run the cell again, or write {again}" if again else "run the command again",
            code="Interrupted",
        ) from None
    finally:
        progress.end()
    _note_output(context, checked, progress)
    if not checked.result.get("ok"):
        raise _explain(script, checked, args)
    for warning in run_warnings(script, checked):
        context.note(f"warning: {warning}")
    return checked


def _source_directory(args: Args, script: Script) -> Path | None:
    """The folder that the option names. Raises `UsageError` when the script is not in it."""
    if not args.source_directory:
        return None
    folder = Path(args.source_directory).expanduser().absolute()
    if not folder.is_dir():
        raise UsageError(
            f"there is no folder {args.source_directory}",
            why=f"looked for {folder}",
            hint="correct --source-directory, or leave it out",
        )
    if not script.path.is_relative_to(folder):
        raise UsageError(
            f"{script.name} is outside {args.source_directory}",
            why="the source directory is the folder with the script",
            hint=f"write --source-directory {shlex.quote(str(Path(script.name).parent))}",
        )
    return folder


def _prepare_interpreter(context: Context, args: Args) -> tuple[str, dict[str, str]]:
    """The interpreter of the check and the environment's variables. An environment is built when it is missing."""
    if args.conda_file is None and args.requirements_file is None:
        return sys.executable, {}
    from mldeploy_jupyter import environments
    from mldeploy_jupyter.api.environments import Environment

    if args.conda_file is not None:
        environment = Environment.from_conda_specification("check", args.conda_file)
    else:
        environment = Environment.from_pip_requirements("check", args.requirements_file)
    spec = environment.to_spec()
    prepared = environments.prepare(spec, kernel_python=sys.executable)
    if prepared.built:
        context.note(f"built the environment {prepared.digest[:8]} in {prepared.seconds:.1f} s")
    return prepared.python, dict(spec.environment_variables)


class CheckProgress:
    """Shows the progress of a check on a terminal: the script's output and the seconds so far.

    Nothing is shown during the first second, in which most checks end.
    """

    def __init__(self, context: Context, script: str, models: list[str]) -> None:
        self.seen = 0  # lines of the output that are shown, or are in `withheld`
        self.withheld: list[str] = []  # warnings, some of which are the server's, that are shown at the end
        self._context = context
        names = f"{script}{' with ' if models else ''}{', '.join(models)}"
        self._text = printable_line(f"checking {names}: init() and the sample ...")
        self._began = context.clock()
        self._seconds = 0  # shown last
        self._counter = ""  # on the screen

    def update(self, output: list[str]) -> None:
        """Shows new lines of `output`, the script's lines so far."""
        if len(output) < self.seen:  # the script is run again, in a new interpreter
            self.seen, self.withheld = 0, []
        seconds = int(self._context.clock() - self._began)
        if seconds < 1 or not self._context.isatty or self._context.json:
            return
        new = output[self.seen : OUTPUT_LINES]
        self.seen += len(new)
        shown = [line for line in new if not line.startswith("warning: ")]
        self.withheld += [line for line in new if line.startswith("warning: ")]
        if shown:
            self._overwrite("")
            for line in shown:
                self._context.note(_output_line(line))
        if shown or seconds != self._seconds:
            self._overwrite(f"{self._text} {seconds} s")
        self._seconds = seconds

    def end(self) -> None:
        """Removes the seconds from the screen."""
        self._overwrite("")

    def _overwrite(self, text: str) -> None:
        if self._counter or text:
            blank = f"\r{' ' * len(self._counter)}\r" if self._counter else ""
            self._context.err.write(blank + text)
            self._context.err.flush()
            self._counter = text


def _output_line(line: str) -> str:
    return f"  | {clean(line, colour=False)}"


def _note_output(context: Context, checked: ScriptCheck, progress: CheckProgress) -> None:
    """Shows the last lines of the script's output that `progress` has not shown."""
    # The server prints its warnings, too; `run_warnings` shows them with better lines.
    warnings = {f"warning: {warning}" for warning in checked.result.get("warnings") or []}
    lines = [line for line in [*progress.withheld, *checked.output[progress.seen :]] if line not in warnings]
    if len(lines) > OUTPUT_LINES:
        context.note(f"  | ({len(lines) - OUTPUT_LINES} lines {'left out' if progress.seen else 'before'})")
    for line in lines[-OUTPUT_LINES:]:
        context.note(_output_line(line))


def _explain(script: Script, checked: ScriptCheck, args: Args) -> MldeployError:
    from mldeploy_jupyter.core.diagnosis import ScriptInfo, explain
    from mldeploy_jupyter.core.diagnosis.package_source import package_source

    version = script.cell.version if script.cell is not None else 0
    info = ScriptInfo(
        script.name,
        checked.settings["entry_script"],
        script.text,
        script.cell,
        version,
        original=str(script.path),
        notebook_names=script.notebook_names,
    )
    files = {"conda_file": args.conda_file, "requirements_file": args.requirements_file}
    packages = package_source({**files, "environment": files if any(files.values()) else None}, sys.executable)
    settings = {**checked.settings, "checking": True, "packages": packages}
    cause = explain(checked.result.get("failure") or {}, script=info, settings=settings, models=checked.models)
    error = EntryScriptError(cause.what, why=cause.why, hint=cause.hint, where=cause.where, code=cause.code)
    error.excerpt = cause.excerpt
    return error


def ok_line(script: Script, checked: ScriptCheck) -> str:
    """The lines about a check that passed: how long `init()` took, what the sample gave, with which models."""
    from mldeploy_jupyter.core.journal import format_duration

    result = checked.result
    seconds = result.get("init_seconds")
    parts = [f"init {format_duration(seconds if seconds is not None else checked.seconds)}"]
    if checked.models:
        parts.append("model " + ", ".join(model.id for model in checked.models))
    lines = [f"ok: {script.name} ({', '.join(parts)})"]
    sample = result.get("sample")
    if sample:
        values = f"{_request_text(sample.get('input'))} -> {_shorten(sample.get('output'))}"
        lines.append(f"sample {values} in {format_duration(sample.get('seconds'))}")
    else:
        lines.append("run() was not called: @input_schema would give it a sample")
        if result.get("input"):
            lines.append(f"it takes {result['input']}")
    return "\n    ".join(lines)


def _request_text(body: Any) -> str:
    # The name of a single parameter adds nothing.
    return _shorten(next(iter(body.values())) if isinstance(body, dict) and len(body) == 1 else body)


def _shorten(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_COLUMNS else text[: VALUE_COLUMNS - 1] + "…"


def show_source_warnings(context: Context, script: Script) -> None:
    for warning in source_warnings(script):
        context.note(f"warning: {warning}")


def source_warnings(script: Script) -> list[str]:
    """Warnings about code that works in the notebook but will fail in a service."""
    from mldeploy_jupyter.core.script import lint

    found = []
    for name, line in lint.find_undefined_names(script.text):
        if name in script.notebook_names:
            problem = f"{name} exists only in this notebook; define or import it in the script"
        else:
            problem = f"{name} is not defined in the script"
        found.append((line, problem))
    caught = lint.find_swallowed_exception(script.text)
    if caught is not None:
        problem = "run() answers with the text of an exception, so a failure looks like a good answer (HTTP 200)"
        found.append((caught, f"{problem}; let it raise"))
    read = lint.find_text_read_as_file(script.text)
    if read is not None:
        problem = "pandas 3 takes the text that read_json() gets for the name of a file"
        found.append((read, f"{problem}; write read_json(io.StringIO(...)), and import io"))
    return [f"line {line + script.offset}: {problem}" for line, problem in found]


def run_warnings(script: Script, checked: ScriptCheck) -> list[str]:
    """Warnings of the run, without those that `source_warnings` has."""
    from mldeploy_jupyter.core.script import lint

    swallows = lint.find_swallowed_exception(script.text) is not None
    found = []
    for warning in checked.result.get("warnings") or []:
        if swallows and warning.startswith("run() catches every exception"):
            continue
        line = re.search(r" \(line (\d+)\)", warning)
        found.append(f"line {int(line[1]) + script.offset}: {warning.replace(line[0], '')}" if line else warning)
    return found


# The options of the check's interpreter, for the command and the magic.
ENVIRONMENT_PARAMS: tuple[Param, ...] = (
    Param(
        "source_directory",
        ("--source-directory", "--sd"),
        "The folder with the script; all its files go along. Default: the script and the modules that it imports.",
        completion="file",
        metavar="FOLDER",
    ),
    Param(
        "conda_file",
        ("--conda-file",),
        "Check in the environment of this conda file, built if it does not exist yet. Default: this Python.",
        completion="file",
        metavar="FILE",
    ),
    Param(
        "requirements_file",
        ("--requirements", "--requirements-file"),
        "The same for a requirements file.",
        completion="file",
        metavar="FILE",
    ),
    Param(
        "init_timeout",
        ("--init-timeout",),
        f"Seconds that the script's imports and init() may take. Default {INIT_TIMEOUT:g}.",
        "number",
        metavar="SECONDS",
    ),
)

COMMANDS: tuple[Command, ...] = (
    Command(
        ("script", "check"),
        "Check that an entry script can serve.\n\n"
        "init() and the sample (of @input_schema) are run in a clean interpreter with the files a service has.",
        (
            Param("file", (), "The script.", required=True, completion="script", metavar="FILE"),
            Param(
                "models",
                ("--model", "-m"),
                "A registered model for the check, name or name:version; may be repeated.",
                "list",
                completion="model",
                metavar="MODEL",
            ),
            *ENVIRONMENT_PARAMS,
        ),
        check,
        "script check score.py -m churn",
    ),
)
