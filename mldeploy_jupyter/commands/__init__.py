"""The grammar of commands, which the command line and the notebook's magics share.

Imports only `api` and the layers below it, those inside functions where they are heavy; nothing of a front end.
"""

from __future__ import annotations

from collections.abc import Sequence

from mldeploy_jupyter.commands import deploy, image, latency, model, script, service, shell_completion, workspace
from mldeploy_jupyter.commands.az.output import read_query, shape_result
from mldeploy_jupyter.commands.completion import complete, values_of
from mldeploy_jupyter.commands.errors import UsageError, WaitInterrupted, explain_damaged_files
from mldeploy_jupyter.commands.grammar import COMMON, Args, Command, Context, Param, Result
from mldeploy_jupyter.commands.help import command_help, overview, usage
from mldeploy_jupyter.commands.parser import find_command, parse, wants_json
from mldeploy_jupyter.commands.python_code import command_program
from mldeploy_jupyter.commands.workspace import open_workspace
from mldeploy_jupyter.core.errors import MldeployError

__all__ = [
    "COMMANDS",
    "COMMON",
    "Args",
    "Command",
    "Context",
    "Param",
    "Result",
    "UsageError",
    "WaitInterrupted",
    "command",
    "command_help",
    "complete",
    "complete_line",
    "open_workspace",
    "parse",
    "run",
    "run_command",
    "usage",
    "values_of",
    "wants_json",
]

_ALL = (
    *model.COMMANDS,
    *deploy.COMMANDS,
    *service.COMMANDS,
    *image.COMMANDS,
    *latency.COMMANDS,
    *script.COMMANDS,
    *workspace.COMMANDS,
    *shell_completion.COMMANDS,
)
_ORDER = (
    "model register",
    "model list",
    "model show",
    "model deploy",
    "model profile",
    "model update",
    "model download",
    "model delete",
    "service list",
    "service show",
    "service run",
    "service get-logs",
    "service get-keys",
    "service get-access-token",
    "service regen-key",
    "service update",
    "service start",
    "service stop",
    "service reload",
    "service rollback",
    "service cancel",
    "service wait",
    "service delete",
    "image build",
    "image list",
    "image push",
    "image export",
    "latency",
    "latency list",
    "latency show",
    "latency compare",
    "script check",
    "workspace create",
    "workspace show",
    "workspace update",
    "workspace list",
    "workspace delete",
    "prune",
    "completion",
)
COMMANDS: tuple[Command, ...] = tuple(sorted(_ALL, key=lambda item: _ORDER.index(item.name)))


def run(words: Sequence[str], *, context: Context) -> Result:
    """Runs a command line, without the program's name, and returns its result.

    Only a followed log is printed to `context.out`. Raises `UsageError` for wrong words, and the
    command's own `MldeployError`.
    """
    rest = list(words)
    if rest[:1] == [shell_completion.COMPLETE]:
        candidates = complete_line(rest[2:] if rest[1:2] == ["--"] else rest[1:], context)
        return Result(candidates, "\n".join(candidates), candidates)
    leading: list[str] = []  # options before the command
    while rest and rest[0] in ("--json", "--show-python"):
        leading.append(rest.pop(0))
    context.json = context.json or wants_json(words)
    if rest[:1] == ["--version"]:
        from importlib.metadata import version

        number = version("mldeploy-jupyter")
        return Result(number, f"mldeploy {number}", {"version": number})
    if not rest or rest[0] in ("-h", "--help", "--help-all", "help"):
        return _help(rest[1:] if rest[:1] == ["help"] else [])
    groups = {item.path[0] for item in COMMANDS if len(item.path) > 1}
    groups -= {item.path[0] for item in COMMANDS if len(item.path) == 1}  # their own help names the others
    if rest[0] in groups and rest[1:2] in (["-h"], ["--help"], ["--help-all"]):
        return _help(rest[:1])
    found, rest = find_command(rest, COMMANDS)
    return run_command(found, [*leading, *rest], context)


def run_command(found: Command, words: Sequence[str], context: Context) -> Result:
    """Parses the words after a command's own words and runs it. Raises as `run`."""
    args = parse(found, words)
    context.json = context.json or args.json
    if args.help or args.help_all:
        text = command_help(found, context.prefix, every_option=args.help_all)
        return Result(text, text, {"help": text})
    context.path = args.path
    query = read_query(args.query)
    for name in ("resource_group", "subscription_id"):
        if getattr(args, name) is not None:
            context.note(f"note: --{name.replace('_', '-')} is not used here; the workspace is a folder.")
    try:
        with explain_damaged_files():
            result = found.run(context, args)
    except MldeployError:
        if args.show_python and context.python:  # most useful when the call fails
            context.write_lines(command_program(Result(python=context.python, data={}), context, args))
        raise
    if args.show_python and result.python:
        context.write_lines(command_program(result, context, args))
    return shape_result(result, args, query)


def _help(words: Sequence[str]) -> Result:
    if words and any(tuple(words[:2]) == item.path for item in COMMANDS):
        text = command_help(find_command(words, COMMANDS)[0])
    else:
        text = overview(COMMANDS, words[0] if words and words[0] in {c.path[0] for c in COMMANDS} else "")
    return Result(text, text, {"help": text})


def command(*path: str) -> Command:
    """The command with that path, such as `command("model", "deploy")`. Raises `UsageError` for an unknown one."""
    return find_command(path, COMMANDS)[0]


def complete_line(words: Sequence[str], context: Context) -> list[str]:
    """Completions of the last word of a command line: the command's own words, then `complete`. Never raises."""
    words = list(words) or [""]
    depth = len(words) - 1
    candidates = {
        item.path[depth] for item in COMMANDS if len(item.path) > depth and list(item.path[:depth]) == words[:depth]
    }
    found = {word for word in candidates if word.startswith(words[-1])}
    for item in sorted(COMMANDS, key=lambda item: -len(item.path)):
        length = len(item.path)
        if tuple(words[:length]) == item.path and len(words) > length:
            own = complete(item, words[length:], context)
            return sorted({*found, *own}) if found else own
    return sorted(found)
