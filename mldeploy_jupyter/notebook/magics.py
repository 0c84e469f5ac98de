"""The magics as data, and how a line becomes a command and its result a value of the notebook."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from mldeploy_jupyter.commands import (
    Args,
    Command,
    Context,
    Param,
    Result,
    UsageError,
    WaitInterrupted,
    command,
    command_help,
    run,
    run_command,
)
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.notebook import deploy, entry_script, register, score
from mldeploy_jupyter.notebook.session import Session
from mldeploy_jupyter.notebook.wording import as_typed_here

Kind = Literal["line", "cell", "line_cell"]

LOG_LINES = 100


@dataclass(frozen=True)
class Magic:
    """`command` is the command of a line, `cell_command` makes that of a cell; None means the whole grammar.

    `covers` names the command of the command line that does the same. `words` splits a line that is not for shlex.
    """

    name: str
    kind: Kind = "line"
    command: Command | None = None
    covers: str = ""
    cell_command: Callable[[str], Command] | None = None
    words: Callable[[str], list[str]] | None = None

    @property
    def doc(self) -> str:
        sign = "%%" if self.kind == "cell" else "%"
        return command_help(self.command, sign) if self.command is not None else MLDEPLOY_DOC


MLDEPLOY_DOC = """usage: %mldeploy COMMAND [OPTIONS]

Run any command of the command line and give back its object. %mldeploy --help lists the commands,
%mldeploy COMMAND --help shows one.

Example:
  %mldeploy model list --latest"""


def magics(session: Session) -> tuple[Magic, ...]:
    """Every magic, over the session's shell."""
    return (
        Magic(
            "entry_script",
            "cell",
            entry_script.command(session, ""),
            cell_command=lambda cell: entry_script.command(session, cell),
        ),
        Magic("register", command=register.register_command(session), covers="model register"),
        Magic("deploy", command=deploy.deploy_command(session), covers="model deploy"),
        Magic(
            "score",
            "line_cell",
            score.score_command(session),
            covers="service run",
            cell_command=lambda cell: score.score_cell(session, cell),
            words=score.words_of,
        ),
        Magic("update", command=deploy.update_command(session), covers="service update"),
        Magic("services", command=_services(session), covers="service list"),
        Magic("logs", command=_logs(session), covers="service get-logs"),
        Magic("cancel", command=_alias("cancel", "service", "cancel"), covers="service cancel"),
        Magic("delete", command=_alias("delete", "service", "delete"), covers="service delete"),
        Magic("mldeploy"),
    )


def run_magic(session: Session, magic: Magic, line: str, cell: str | None = None) -> Any:
    """Runs one magic and gives back what the notebook gets.

    Raises `UsageError` for wrong words, the command's own `MldeployError` for the rest, in a notebook's words.
    """
    context = context_of(session)
    try:
        words = (magic.words or shlex.split)(line) if cell is None or magic.words is None else shlex.split(line)
        if magic.command is None:
            result = run(words, context=context)
        else:
            chosen = magic.cell_command(cell) if cell is not None and magic.cell_command else magic.command
            result = run_command(chosen, words, context)
            if isinstance(result.data, dict) and "help" in result.data:
                result = replace(result, text=magic.doc, data={"help": magic.doc})
    except ValueError as error:
        if isinstance(error, MldeployError) or ("quotation" not in str(error) and "escaped" not in str(error)):
            raise
        raise usage_error(
            UsageError("the line cannot be read", why=f"{error}", hint="close the quotes"), magic
        ) from None
    except UsageError as error:
        raise usage_error(error, magic) from None
    except MldeployError as error:
        error.hint = as_typed_here(error.hint)
        raise
    except KeyboardInterrupt:
        raise WaitInterrupted(
            f"%{magic.name} was interrupted", hint="a deployment under way goes on: %services shows it"
        ) from None
    return given_back(result, context)


def context_of(session: Session) -> Context:
    """Where the session's commands run. Notes go where the results go: a notebook paints its error stream red."""
    return Context(
        out=sys.stdout,
        err=sys.stdout,
        follow=False,
        namespace=session.namespace,
        defaults={"models": registered_last()},
        update_live=True,
        prefix="%mldeploy ",
    )


def registered_last() -> list[str]:
    """The id of the model this process registered last in the workspace of the current folder, as a list."""
    registration = sys.modules.get("mldeploy_jupyter.api.models.registration")
    here = getattr(registration, "registered_here", [])
    if not here:
        return []
    from mldeploy_jupyter.core.workspace.folder import find_workspace

    folder = find_workspace()
    return [model for workspace, model in here if folder is not None and workspace == folder.id][-1:]


def given_back(result: Result, context: Context) -> Any:
    """The result as a value that shows itself; text is printed where there is no object."""
    from mldeploy_jupyter.notebook.views import Keys, shown

    if context.json:
        print(json.dumps(result.data, indent=2, ensure_ascii=False, default=str))
        return None
    if isinstance(result.value, bool):  # its text says more
        print(as_typed_here(result.text))
        return None
    if result.value is None or (isinstance(result.data, dict) and "help" in result.data):
        if result.text:
            print(as_typed_here(result.text))
        return None
    if isinstance(result.data, dict) and "primaryKey" in result.data:
        return Keys(result.value)
    return shown(result.value)


def usage_error(error: UsageError, magic: Magic) -> UsageError:
    """The error in the words of the magic: its name in the place of the command's."""

    def typed(text: str) -> str:
        for name in (magic.name, magic.covers) if magic.command is not None else ():
            if name:
                text = text.replace(f"mldeploy {name} --help", f"%{magic.name}?")
                text = re.sub(rf"%?mldeploy {re.escape(name)}\b", f"%{magic.name}", text)
        return as_typed_here(text)

    return UsageError(typed(error.what), why=typed(error.why), hint=typed(error.hint))


def _alias(name: str, *path: str) -> Command:
    base = command(*path)
    return replace(base, path=(name,), example=f"{name} churn")


def _services(session: Session) -> Command:
    base = command("service", "list")
    name = Param(
        "name",
        (),
        "Show this one with the timeline of its last deployment.",
        completion="service",
        metavar="NAME",
    )

    def run_services(context: Context, args: Args) -> Result:
        if args.name is None:
            result = base.run(context, args)
            return result if result.value else replace(result, value=None, text="No services. Deploy one with %deploy")
        from mldeploy_jupyter.commands.lookup import find_service
        from mldeploy_jupyter.commands.python_code import service_of
        from mldeploy_jupyter.notebook.deploy import attach

        service = find_service(context, args)
        attach(session, service, wait=False)
        return Result(service, "", service.serialize(), service_of(args.name, "service"))

    doc = "List services, or show one with the timeline of its last deployment.\n\n"
    doc += "From a folder without a workspace it lists those of all your workspaces."
    return Command(("services",), doc, (name, *base.params), run_services, "services churn")


def _logs(session: Session) -> Command:
    base = command("service", "get-logs")
    doc = "Show the last lines of a service's log. With -f it goes on with what is written from now on,\n"
    doc += "until you interrupt it; the service goes on."
    params = tuple(
        replace(param, doc=f"How many lines from the end. Default {LOG_LINES}.") if param.name == "num_lines" else param
        for param in base.params
    )

    def run_logs(context: Context, args: Args) -> Result:
        from mldeploy_jupyter.commands.python_code import call, service_of
        from mldeploy_jupyter.notebook.views import LogText

        if args.num_lines is None:
            args.num_lines = LOG_LINES
        result = base.run(context, args)
        if args.follow:
            lines = "for line in service.follow_logs():\n    print(line)"
            return Result(None, "", None, service_of(args.name, lines))
        printed = call("service.get_logs", num_lines=args.num_lines)
        return Result(LogText(result.value), "", result.data, service_of(args.name, f"print({printed})"))

    return Command(("logs",), doc, params, run_logs, "logs churn -f")
