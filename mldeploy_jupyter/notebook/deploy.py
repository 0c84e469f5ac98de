"""`%deploy` and `%update`: begin a deployment and show its timeline.

In a notebook they return at once. When a program runs the notebook they wait, because it saves no output after the
last cell; in a terminal they wait, too, as the command line does.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mldeploy_jupyter.commands import Args, Command, Context, Param, Result, UsageError, command
from mldeploy_jupyter.commands.deploy import names_models, read_models
from mldeploy_jupyter.commands.formatting import pairs
from mldeploy_jupyter.commands.lookup import find_live_revision, find_service
from mldeploy_jupyter.commands.python_code import (
    Code,
    call,
    deployment_config,
    inference_config,
    program,
    service_program,
)
from mldeploy_jupyter.commands.script_defaults import (
    fill_mlflow_script,
    fill_script,
    find_script,
    find_source_directory,
    keep_environment,
)
from mldeploy_jupyter.commands.waiting import wait_for_earlier
from mldeploy_jupyter.core.errors import EntryScriptError, WorkspaceError
from mldeploy_jupyter.core.script.notebook_cells import save_cell
from mldeploy_jupyter.notebook.deploy_defaults import (
    Origin,
    choose_models,
    choose_script,
    describe_change,
    describe_script,
    read_origin,
    refuse_script_of_another,
    relative_path,
)
from mldeploy_jupyter.notebook.forms import FORM, given_params, refuse_form, refuse_other_options, show_form
from mldeploy_jupyter.notebook.session import Session, registered_models

if TYPE_CHECKING:
    from mldeploy_jupyter.core.workspace.folder import WorkspaceFolder

DEPLOY_DOC = """Deploy a model with an entry script as a service, or update the service of that name.

The script is that of the last %%entry_script; the model is the one it was checked with, or one registered since; the
target is this machine. A live service keeps its own script, models and environment until a script is written for it, or
a newer version of its models registered. Options override this. A script that failed its check, or that something else
has written since, is deployed only if --script names it; one that failed also if -m names other models. A service that
already serves exactly this is returned as it is. %deploy returns the service at once and shows the timeline, which is
kept up to date; --wait waits for the end.

A new service that is named like a model gets that model. %deploy alone deploys the last script with the last model.
Where one of them is missing it shows a form; --form always does."""

UPDATE_DOC = """Change a service; the old revision serves until the new one answers.

Without options the entry script is read again. Only what an option names is changed. Waits for a deployment of the
service that is under way."""

_WAIT = Param("wait", ("--wait",), "Wait for the end, with the timeline in view. An interrupt ends only the waiting.",
              "switch")  # fmt: skip
_NO_WAIT = Param("no_wait", ("--no-wait",), "Return at once. The default in a notebook.", "switch")


def deploy_command(session: Session) -> Command:
    base = command("model", "deploy")

    def run(context: Context, args: Args) -> Result:
        if args.form:
            return _show_form(session, context, args, base, "deploy")
        if not given_params(args, base) and not _has_defaults(session, context, args) and show_form(session, "deploy"):
            return Result()
        _fill_deploy(session, context, args)
        result = _run(session, context, args, base)
        return replace(result, python=_deploy_program(result.value.name, context, args))

    return Command(("deploy",), DEPLOY_DOC, lambda: (*_params(base), FORM), run, "deploy churn -m churn:3 --port 8890")


def update_command(session: Session) -> Command:
    base = command("service", "update")

    def run(context: Context, args: Args) -> Result:
        if args.form:
            return _show_form(session, context, args, base, "update")
        wait_for_earlier(context, find_service(context, args))
        if _fill_update(session, context, args, base):
            result = _run(session, context, args, base)
            return replace(result, python=_update_program(args.name, context, args))
        result = _run(session, context, args, command("service", "reload"))
        return replace(result, python=service_program(args.name, call("service.reload", replay=args.replay or None)))

    return Command(("update",), UPDATE_DOC, lambda: (*_params(base), FORM), run, "update churn -m churn:4")


def rollback_command() -> Command:
    base = command("service", "rollback")

    def run(context: Context, args: Args) -> Result:
        wait_for_earlier(context, find_service(context, args))
        result = base.run(context, args)
        return replace(result, python=service_program(args.name, result.python))

    doc = "Go back to an older revision; the present one serves until that one answers.\n\n"
    doc += "%services NAME shows the revisions that you can go back to."
    return Command(("rollback",), doc, _params(base), run, "rollback churn")


def _show_form(
    session: Session, context: Context, args: Args, base: Command, kind: Literal["deploy", "update"]
) -> Result:
    """Shows the form. Raises `UsageError` for other options, and where it cannot be shown."""
    service = args.name or ""
    given = [param for param in given_params(args, base) if (kind == "deploy" or param.name != "name")]
    refuse_other_options(kind, given, service)
    workspace = None
    if kind == "update":
        workspace = find_service(context, args).workspace
    elif args.path:
        workspace = context.workspace(args.path)
    if not show_form(session, kind, service, workspace):
        raise refuse_form(kind, service)
    return Result()


def _has_defaults(session: Session, context: Context, args: Args) -> bool:
    """Whether `%deploy` alone has a script and a model to deploy."""
    folder, service = _find_folder(context, args.path), _identity(context, args)
    script = choose_script(session, service, None)[0]
    store = folder.open_store() if folder is not None else None
    models = choose_models(session, service, script, registered_models(args.path), None, store)[0]
    return script is not None and bool(models)


def _params(base: Command) -> tuple[Param, ...]:
    own = {"wait": _WAIT, "no_wait": _NO_WAIT}
    return tuple(own.get(param.name, param) for param in base.params)


def _run(session: Session, context: Context, args: Args, base: Command) -> Result:
    """Runs the command and remembers the service that it deployed."""
    shown = context.show_deployment

    def show(service: Any, wait: bool, timeout_sec: float | None) -> None:
        session.record_deployment(service)  # first: the wait may be interrupted
        if shown is not None:
            shown(service, wait, timeout_sec)

    context.show_deployment = show
    if session.panels is not None:
        session.panels.open()
    result = base.run(context, args)
    session.record_deployment(result.value)
    return result


def _fill_deploy(session: Session, context: Context, args: Args) -> None:
    """Fills in the session's script and models where no option names them, with a note."""
    _accept_named_script(session, args)
    folder = _find_folder(context, args.path)
    service, current = _identity(context, args), read_origin(folder, args.name)
    script = Path(args.entry_script).expanduser().absolute() if args.entry_script else None
    filled_in = []
    if names_models(args) and choose_script(session, service, current)[0] is None:
        fill_mlflow_script(context, args, read_models(args))
    if not (args.entry_script or args.inference_config):
        script, origin = choose_script(session, service, current)
        if script is None:
            raise UsageError(
                "there is no entry script to deploy",
                why="no %%entry_script was run in this session, and there is no score.py here",
                hint="write one with %%entry_script, or name its file: %deploy NAME --script FILE",
            )
        line = f"%deploy {args.name or 'NAME'}"
        _refuse_changed_script(session, context, args, script, line)
        _refuse_failed_script(session, context, args, script, line)
        if folder is not None and current is not None:
            refuse_script_of_another(folder, args.name, script, current, line)
        _take_cell_along(session, context, args, script)
        context.defaults["entry_script"] = _script_option(session, args, script, current)
        filled_in.append(f"script {relative_path(script)} ({origin})")
    if current is not None and current.live:
        keep_environment(context, args, current)
    if not names_models(args):
        context.defaults["models"], described = _choose_models(session, context, args, script)
        filled_in.append(described)
    if filled_in:
        context.note("Deploying " + ", ".join(filled_in))


def default_models(session: Session, context: Context, args: Args) -> tuple[list[str], str]:
    """The models of `%mldeploy model deploy` and its like without -m, and what is said of them; those of `%deploy`."""
    script = Path(args.entry_script).expanduser().absolute() if args.entry_script else None
    return _choose_models(session, context, args, script)


def _choose_models(session: Session, context: Context, args: Args, script: Path | None) -> tuple[list[str], str]:
    """The models to deploy with the script where no option names them, and what is said of them."""
    folder = _find_folder(context, args.path)
    store = folder.open_store() if folder is not None else None
    service, current = _identity(context, args), read_origin(folder, args.name)
    models, origin = choose_models(session, service, script, registered_models(args.path), current, store)
    return models, f"model {', '.join(models)} ({origin})" if models else "no model (name one with -m)"


def _script_option(session: Session, args: Args, script: Path, current: Origin | None = None) -> str:
    """The script as the option names it. Fills in the source directory that its cell named, or that its service has."""
    directory = session.source_directory if script == session.script else None
    if directory is None and current is not None and script == find_script(current):
        directory = find_source_directory(current)
    if directory is not None and not args.source_directory:
        args.source_directory = relative_path(directory)
    folder = Path(args.source_directory).expanduser().absolute() if args.source_directory else None
    if folder is not None and script.is_relative_to(folder):
        return script.relative_to(folder).as_posix()
    return relative_path(script)


def _accept_named_script(session: Session, args: Args) -> None:
    """A file that an option names is deployed as it is, from now on without comparing it with its cell."""
    if args.entry_script:
        session.cells.pop(Path(args.entry_script).expanduser().absolute(), None)


def _refuse_changed_script(session: Session, context: Context, args: Args, script: Path, line: str) -> None:
    """Raises `EntryScriptError` when the file is no longer what this session wrote to it and checked."""
    why = describe_change(session, script, [_find_folder(context, path) for path in (args.path, None)])
    if not why:
        return
    raise EntryScriptError(
        f"{relative_path(script)} is not what this notebook checked",
        why=why,
        hint=f"run the cell again, or deploy the file as it is: {line} --script {shlex.quote(relative_path(script))}",
        code="ScriptChanged",
    )


def _take_cell_along(session: Session, context: Context, args: Args, script: Path) -> None:
    """Records the script's cell in the workspace of the service, so that its errors name the lines of the cell."""
    record, folder = session.cells.get(script), _find_folder(context, args.path)
    if record is not None and folder is not None and folder.id != session.workspace:
        save_cell(folder.cells, record)


def _refuse_failed_script(session: Session, context: Context, args: Args, script: Path, line: str) -> None:
    """Raises `EntryScriptError` for a script that failed its check, unless other models than those are named."""
    failed = session.failed_check
    if failed is None or not failed.applies_to(script):
        return
    folder = _find_folder(context, args.path)
    # A model of another workspace is another model, though it may have the same name and version.
    if set(args.model or ()) - set(failed.models if folder and folder.id == failed.workspace else ()):
        return
    raise EntryScriptError(
        f"{relative_path(script)} failed its check",
        why=failed.why,
        where=failed.where,
        hint=f"correct the cell and run it, or name another script: {line} --script FILE",
    )


def _fill_update(session: Session, context: Context, args: Args, base: Command) -> bool:
    """Fills in the script of an update without options. False when it is to read the service's script again."""
    context.defaults.clear()  # an update changes only what its options name
    _accept_named_script(session, args)
    waiting = {"wait", "no_wait", "timeout_sec", "name", "replay"}  # say how, and not what is changed
    if any(param.name not in waiting for param in given_params(args, base)):
        return True
    live = _live_revision(context, args)
    current = find_script(live) if live is not None else None
    # A script written since the last deployment is meant for the service that was deployed.
    script = session.script if session.script_is_new and session.deployed == _identity(context, args) else current
    if script is not None:
        _refuse_changed_script(session, context, args, script, f"%update {args.name}")
        _refuse_failed_script(session, context, args, script, f"%update {args.name}")
        folder = _find_folder(context, args.path)
        if folder is not None and (origin := read_origin(folder, args.name)) is not None:
            refuse_script_of_another(folder, args.name, script, origin, f"%update {args.name}")
        _take_cell_along(session, context, args, script)
    if script is not None and script != current:
        args.entry_script = _script_option(session, args, script)
        fill_script(context, args, live)
        context.note(f"Updating with the script {relative_path(script)} ({describe_script(session, script)})")
        return True
    if current is not None:
        context.note(f"Updating with the script {relative_path(current)}, read again")
    return False


def _live_revision(context: Context, args: Args) -> Any:
    """The live revision of the named service; None without one."""
    folder = _find_folder(context, args.path) if args.name else None
    return find_live_revision(folder.open_store(), args.name) if folder is not None else None


def _identity(context: Context, args: Args) -> tuple[str, str]:
    """What `Session.deployed` would hold for the named service."""
    folder = _find_folder(context, args.path)
    return (folder.id if folder is not None else "", args.name or "")


def _find_folder(context: Context, path: str | None) -> WorkspaceFolder | None:
    try:
        folder: WorkspaceFolder = context.workspace(path).folder
    except WorkspaceError:
        return None
    return folder


def _deploy_program(name: str, context: Context, args: Args) -> str:
    models = read_models(args) if names_models(args) else context.defaults.get("models") or []
    config = deployment_config(args)
    lines = [f"inference_config = {inference_config(args, context.defaults)}"]
    lines += [f"deployment_config = {config}"] if config else []
    words = ["ws", repr(name), repr(list(models)), "inference_config", *(["deployment_config"] if config else [])]
    return program(*lines, f"service = {call('Model.deploy', *words, overwrite=True)}")


def _update_program(name: str, context: Context, args: Args) -> str:
    from mldeploy_jupyter.commands.options.settings import given_settings

    inference = inference_config(args, context.defaults)
    lines = [f"inference_config = {inference}"] if inference else []
    settings = {key: "***" if key in _KEYS else value for key, value in given_settings(args).items()}
    changes = {
        "models": read_models(args) if names_models(args) else None,
        "inference_config": Code("inference_config") if inference else None,
        **settings,
    }
    if any(value is not None for value in changes.values()):
        lines.append(call("service.update", **changes))
    labels = (
        ("add_tags", pairs(args.add_tag, "--add-tag")),
        ("remove_tags", args.remove_tag),
        ("add_properties", pairs(args.add_property, "--add-property")),
    )
    lines += [call(f"service.{method}", repr(value)) for method, value in labels if value]
    return service_program(name, *lines)


_KEYS = ("primary_key", "secondary_key")  # never printed
