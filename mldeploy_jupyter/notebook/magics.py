"""The table of magics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mldeploy_jupyter.commands import Args, Command, Context, Param, Result, command, command_help
from mldeploy_jupyter.commands.lookup import find_service_anywhere
from mldeploy_jupyter.commands.python_code import call, service_program
from mldeploy_jupyter.notebook import deploy, entry_script, register, score
from mldeploy_jupyter.notebook.session import Session
from mldeploy_jupyter.notebook.views import LogText

Kind = Literal["line", "cell", "line_cell"]

LOG_LINES = 100  # that %logs shows by default

MLDEPLOY_DOC = """usage: %mldeploy COMMAND [OPTIONS]

Run any command of the command line and return its object. %mldeploy alone lists the magics and the commands,
%mldeploy COMMAND --help shows one.

Example:
  %mldeploy model list --latest"""

MLDEPLOY_SUMMARY = "Run any command of the command line and return its object."


@dataclass(frozen=True, eq=False)
class Magic:
    """A magic and its command. Without `command` it runs any command of the grammar.

    `cell_command` makes the command of a cell from the cell's text. `covers` names the command of the command line
    that does the same. `words` splits a line that is not split like a shell line.
    """

    name: str
    kind: Kind = "line"
    command: Command | None = None
    covers: str = ""
    cell_command: Callable[[str], Command] | None = None
    words: Callable[[str], list[str]] | None = None

    @property
    def sign(self) -> str:
        return "%%" if self.kind == "cell" else "%"

    @property
    def summary(self) -> str:
        return self.command.summary if self.command is not None else MLDEPLOY_SUMMARY

    @property
    def doc(self) -> str:
        return self.help()

    def help(self, every_option: bool = False) -> str:
        return command_help(self.command, self.sign, every_option) if self.command is not None else MLDEPLOY_DOC


def overview(table: Sequence[Magic]) -> str:
    """Every magic and what it does."""
    width = max(len(magic.sign + magic.name) for magic in table)
    lines = [f"  {magic.sign + magic.name:<{width}}  {magic.summary}" for magic in table]
    return "\n".join(["Magics, in the order of a first service:", "", *lines, "", "%NAME? shows the help of one."])


def magics(session: Session) -> tuple[Magic, ...]:
    """Every magic of a session."""
    return (
        Magic("register", command=register.register_command(session), covers="model register"),
        Magic(
            "entry_script",
            "cell",
            entry_script.command(session, ""),
            cell_command=lambda cell: entry_script.command(session, cell),
        ),
        Magic("deploy", command=deploy.deploy_command(session), covers="model deploy"),
        Magic(
            "score",
            "line_cell",
            score.score_command(session),
            covers="service run",
            cell_command=lambda cell: score.score_command(session, cell),
            words=score.split_line,
        ),
        Magic("update", command=deploy.update_command(session), covers="service update"),
        Magic("latency", command=command("latency"), covers="latency"),
        Magic("services", command=_services_command(session), covers="service list"),
        Magic("logs", command=_logs_command(), covers="service get-logs"),
        Magic("rollback", command=deploy.rollback_command(), covers="service rollback"),
        Magic("stop", command=_shortcut("service", "stop"), covers="service stop"),
        Magic("start", command=_shortcut("service", "start"), covers="service start"),
        Magic("cancel", command=_shortcut("service", "cancel"), covers="service cancel"),
        Magic("delete", command=_shortcut("service", "delete"), covers="service delete"),
        Magic("mldeploy"),
    )


def _shortcut(group: str, name: str) -> Command:
    """The command `group name` under its second word alone."""
    return replace(command(group, name), path=(name,), example=f"{name} churn")


def _services_command(session: Session) -> Command:
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
        from mldeploy_jupyter.notebook.timeline_view import show_deployment

        service = find_service_anywhere(context, args)
        show_deployment(session, service)
        return Result(service, "", service.serialize(), service_program(args.name, "service"))

    doc = "List services, or show one with the timeline of its last deployment.\n\n"
    doc += "From a folder without a workspace it lists those of all your workspaces."
    return Command(("services",), doc, (name, *base.params), run_services, "services churn")


def _logs_command() -> Command:
    base = command("service", "get-logs")
    doc = "Show the last lines of a service's log.\n\n"
    doc += "With -f it follows the log until you interrupt it; the service continues."
    params = tuple(
        replace(param, doc=f"How many lines from the end. Default {LOG_LINES}, with -f 20.")
        if param.name == "num_lines"
        else param
        for param in base.params
    )

    def run_logs(context: Context, args: Args) -> Result:
        if args.num_lines is None and not args.follow:
            args.num_lines = LOG_LINES
        result = base.run(context, args)
        if args.follow:
            follow = call("service.follow_logs", num_lines=args.num_lines)
            lines = f"for line in {follow}:\n    print(line)"
            return Result(None, "", None, service_program(args.name, lines))
        logs = call("service.get_logs", num_lines=args.num_lines, timestamps=args.timestamps or None)
        return Result(LogText(result.value), "", result.data, service_program(args.name, f"print({logs})"))

    return Command(("logs",), doc, params, run_logs, "logs churn -f")
