"""`%deploy` and `%update`: begin a deployment and show its timeline, without holding the notebook up.

In a notebook they return at once. Where a program runs the notebook they wait, because what comes after the
last cell is not saved; in a terminal they follow, as the command line does.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from mldeploy_jupyter.commands import Args, Command, Context, Param, Result, UsageError, WaitInterrupted, command
from mldeploy_jupyter.commands.python_code import call, deployment_config, inference_config, program, service_of
from mldeploy_jupyter.commands.script_defaults import fill_script, script_of
from mldeploy_jupyter.commands.waiting import check_waiting
from mldeploy_jupyter.core.errors import DeploymentTimeout, EntryScriptError
from mldeploy_jupyter.notebook.session import Session, front_end

DEPLOY_DOC = """Deploy a model with an entry script as a service, or update the service of that name.

The script is that of the last %%entry_script, the model the one it was checked with or one registered since, the
target this machine; options say otherwise. A script whose check failed is deployed only when --script names it, or -m
other models. A service that serves just this already is given back as it is. Returns the service at once and shows
the timeline, which keeps itself up to date; --wait waits for the end."""

UPDATE_DOC = """Change a service; the old revision serves until the new one answers.

Without options the entry script is read again. What no option names stays as it is."""

_FROM_MODEL = "The service's name. The model's, made valid, when left out."
_WAIT = Param("wait", ("--wait",), "Wait for the end, with the timeline in view. An interrupt ends the waiting only.",
              "switch")  # fmt: skip
_NO_WAIT = Param("no_wait", ("--no-wait",), "Return at once. The default in a notebook.", "switch")


def deploy_command(session: Session) -> Command:
    base = command("model", "deploy")

    def run(context: Context, args: Args) -> Result:
        _fill_deploy(session, context, args)
        result = _carried(session, context, args, base)
        return replace(result, python=_deploy_python(result.value.name, context, args))

    return Command(("deploy",), DEPLOY_DOC, _params(base), run, "deploy churn -m churn:3 --port 8890")


def update_command(session: Session) -> Command:
    base = command("service", "update")

    def run(context: Context, args: Args) -> Result:
        again = _fill_update(session, context, args, base)
        result = _carried(session, context, args, replace(base, run=_reload) if again else base)
        return replace(result, python=_update_python(args.name, context, args, again))

    return Command(("update",), UPDATE_DOC, _params(base), run, "update churn -m churn:4")


def attach(session: Session, service: Any, wait: bool, timeout_sec: float | None = None) -> None:
    """Shows the service's deployment; with `wait` until its end.

    Raises the deployment's error when it did not become live, `WaitInterrupted` when the user had enough.
    """
    from mldeploy_jupyter.notebook.views import timeline_view

    view = timeline_view(session, service, errors=not wait)
    if not wait:
        return
    try:
        view.wait(timeout_sec)
        if not view.ended.is_set():
            view.errors = True
            raise DeploymentTimeout(
                f"{service.name} was not live within {timeout_sec:g} s",
                why="the deployment goes on; nothing was cancelled",
                hint=f"wait again with %services {service.name}, or end it with %cancel {service.name}",
            )
        service.wait_for_deployment()  # raises how it ended
    except KeyboardInterrupt:
        view.errors = True  # from here on only the timeline can tell
        raise stopped_waiting(service.name, service) from None
    finally:
        view.refresh()


def stopped_waiting(name: str, service: Any = None) -> WaitInterrupted:
    return WaitInterrupted(
        "stopped waiting; the deployment goes on",
        hint=f"attach again with %services {name}; %cancel {name} ends it",
        value=service,
    )


def _carried(session: Session, context: Context, args: Args, base: Command) -> Result:
    """Runs the command without its own waiting, and shows what it began in the way that fits the front end."""
    check_waiting(args)
    place = front_end(session.shell)
    if place == "terminal":
        context.follow = True
        result = base.run(context, args)
        session.service, session.script_is_new = result.value.name, False
        return result
    wait = args.wait or (place == "headless" and not args.no_wait)
    args.wait, args.no_wait = False, True
    result = base.run(context, args)
    service = result.value
    session.service, session.script_is_new = service.name, False
    if not _is_shown(session, service):
        attach(session, service, wait, args.timeout_sec)
    # What was read before the wait is old by now.
    return replace(result, data=service.serialize()) if wait else result


def _is_shown(session: Session, service: Any) -> bool:
    """Whether the deployment is an old one: nothing was begun, because nothing had changed."""
    from mldeploy_jupyter.api.webservices import deployments

    return service.deployment_id in session.shown or service.deployment_id not in deployments.unreported


def _fill_deploy(session: Session, context: Context, args: Args) -> None:
    """The session's script and model in the place of what was left out, and a line that says so."""
    live = _live_revision(context, args)
    said = []
    if not (args.entry_script or args.inference_config):
        script, why = _script(session, live)
        if script is None:
            raise UsageError(
                "there is no entry script to deploy",
                why="no %%entry_script was run in this session, and there is no score.py here",
                hint="write one with %%entry_script, or name its file: %deploy NAME --script FILE",
            )
        _refuse_failed(session, script, f"%deploy {args.name or 'NAME'}", args.model)
        context.defaults["entry_script"] = _short(script)
        said.append(f"script {_short(script)} ({why})")
    if not (args.model or args.model_metadata_file):
        models, why = _models(session, context, live)
        context.defaults["models"] = models
        said.append(f"model {', '.join(models)} ({why})" if models else "no model (name one with -m)")
    if said:
        context.note("Deploying " + ", ".join(said))


def _refuse_failed(session: Session, script: Path, line: str, models: list[str] | None = None) -> None:
    """A script that failed its check goes nowhere unless it, or other models, are named. Raises `EntryScriptError`."""
    if session.failed is not None and session.failed.is_of(script) and not {*(models or ())} - {*session.failed.models}:
        raise EntryScriptError(
            f"{_short(script)} failed its check",
            why=session.failed.why,
            where=session.failed.where,
            hint=f"correct the cell and run it, or name another script: {line} --script FILE",
        )


def _script(session: Session, live: Any) -> tuple[Path | None, str]:
    if session.script is not None:
        return session.script, "the last %%entry_script"
    if live is not None and (known := script_of(live)) is not None:
        return known, "as the service has it"
    if Path("score.py").is_file():
        return Path("score.py").absolute(), "found here"
    return None, ""


def _models(session: Session, context: Context, live: Any) -> tuple[list[str], str]:
    if session.models:
        return list(session.models), "those of the last %%entry_script"
    kept, then = session.kept
    last = context.defaults.get("models")
    if kept and last == then:  # nothing was registered since the script's check
        return list(kept), "those of the last %%entry_script"
    if last:
        return list(last), "registered last in this session"
    return (list(live.models), "as the service has it") if live is not None else ([], "")


def _fill_update(session: Session, context: Context, args: Args, base: Command) -> bool:
    """True when nothing is asked but to read the script again."""
    context.defaults.clear()  # an update changes what it names and nothing else
    waiting = {"wait", "no_wait", "timeout_sec", "name"}
    given = [(param, getattr(args, param.name)) for param in base.params if param.name not in waiting]
    if any(value is not None and (value is not False or param.kind == "toggle") for param, value in given):
        return False
    live = _live_revision(context, args)
    known = script_of(live) if live is not None else None
    # A script that was written since the last deployment is meant for the service that was deployed.
    script = session.script if session.script_is_new and session.service == args.name else known
    if script is not None:
        _refuse_failed(session, script, f"%update {args.name}")
    if script is not None and script != known:
        args.entry_script = _short(script)
        fill_script(args, live)
        context.note(f"Updating with the script {args.entry_script} (the last %%entry_script)")
        return False
    if known is not None:
        context.note(f"Updating with the script {_short(known)}, read again")
    return True


def _reload(context: Context, args: Args) -> Result:
    from mldeploy_jupyter.commands.lookup import find_service
    from mldeploy_jupyter.commands.waiting import describe, follow

    service = find_service(context, args)
    service.reload()
    if context.follow and not args.no_wait:
        follow(context, service, service.name, args.timeout_sec)
    return Result(service, describe(service), service.serialize())


def _live_revision(context: Context, args: Args) -> Any:
    """The live revision of the service that is named; None when there is none."""
    from mldeploy_jupyter.core.errors import WorkspaceError

    if not args.name:
        return None
    try:
        store = context.workspace(args.path).folder.open_store()
    except WorkspaceError:
        return None
    service = store.get_service(args.name)
    return store.get_revision(args.name, service.revision) if service is not None and service.revision else None


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _params(base: Command) -> tuple[Param, ...]:
    own = {"wait": _WAIT, "no_wait": _NO_WAIT}
    return tuple(own.get(param.name, param) for param in base.params)


def _deploy_python(name: str, context: Context, args: Args) -> str:
    models = args.model or context.defaults.get("models") or []
    config = deployment_config(args)
    lines = [f"inference_config = {inference_config(args, context.defaults)}"]
    lines += [f"deployment_config = {config}"] if config else []
    words = ["ws", repr(name), repr(list(models)), "inference_config", *(["deployment_config"] if config else [])]
    lines.append(f"service = {call('Model.deploy', *words, overwrite=True)}")
    return program(*lines, imports=_reader(args))


def _update_python(name: str, context: Context, args: Args, again: bool) -> str:
    if again:
        return service_of(name, "service.reload()")
    lines, words = [], {}
    if args.model:
        words["models"] = list(args.model)
    inference = inference_config(args, context.defaults)
    if inference:
        lines.append(f"inference_config = {inference}")
    kwargs = [f"models={words['models']!r}"] if words else []
    kwargs += ["inference_config=inference_config"] if inference else []
    kwargs += [f"{key}={value!r}" for key, value in _settings(args).items()]
    calls = [call("service.update", *kwargs)] if kwargs else []
    for option, method in (("add_tag", "add_tags"), ("remove_tag", "remove_tags"), ("add_property", "add_properties")):
        given = getattr(args, option)
        if given:
            value = given if option == "remove_tag" else dict(word.partition("=")[::2] for word in given)
            calls.append(f"service.{method}({value!r})")
    return service_of(name, *lines, *calls) if not _reader(args) else "\n".join(
        [*_reader(args), service_of(name, *lines, *calls)]
    )  # fmt: skip


def _settings(args: Args) -> dict[str, Any]:
    from mldeploy_jupyter.commands.options import _flags

    hidden = ("primary_key", "secondary_key")
    return {name: "***" if name in hidden else value for name, value in _flags(args).items()}


def _reader(args: Args) -> tuple[str, ...]:
    return ("from mldeploy_jupyter.core.configs import read_inference_config",) if args.inference_config else ()
