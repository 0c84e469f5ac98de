"""One grammar of commands. The command line and the notebook's magics both run it."""

from __future__ import annotations

from collections.abc import Sequence

from mldeploy_jupyter.commands import deploy, model, service, workspace
from mldeploy_jupyter.commands.completion import complete, values_of
from mldeploy_jupyter.commands.errors import UsageError, WaitInterrupted
from mldeploy_jupyter.commands.grammar import COMMON, Args, Command, Context, Param, Result
from mldeploy_jupyter.commands.help import command_help, overview, usage
from mldeploy_jupyter.commands.parser import find_command, parse, wants_json

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
    "options_of",
    "parse",
    "run",
    "run_command",
    "usage",
    "values_of",
    "wants_json",
]

_ALL = (*model.COMMANDS, *deploy.COMMANDS, *service.COMMANDS, *workspace.COMMANDS)
_ORDER = (
    "model register",
    "model list",
    "model show",
    "model deploy",
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
    "workspace create",
    "workspace show",
    "workspace list",
    "prune",
)
COMMANDS: tuple[Command, ...] = tuple(sorted(_ALL, key=lambda item: _ORDER.index(item.name)))


def run(words: Sequence[str], *, context: Context | None = None) -> Result:
    """Runs a command line (without the program's name) and gives its result; nothing is printed to `context.out`
    but a followed log. Raises `UsageError` for wrong words and the command's own `MldeployError`."""
    context = context or Context()
    words = list(words)
    front: list[str] = []
    while words and words[0] in ("--json", "--show-python"):
        front.append(words.pop(0))
    context.json = context.json or wants_json([*front, *words])
    if words[:1] == ["--version"]:
        from importlib.metadata import version

        number = version("mldeploy-jupyter")
        return Result(number, f"mldeploy {number}", {"version": number})
    if not words or words[0] in ("-h", "--help", "help"):
        return _help_of(words[1:] if words[:1] == ["help"] else [])
    if (
        len(words) >= 2
        and words[1] in ("-h", "--help")
        and words[0] in {item.path[0] for item in COMMANDS if len(item.path) > 1}
    ):
        return _help_of(words[:1])
    found, rest = find_command(words, COMMANDS)
    return run_command(found, [*front, *rest], context)


def run_command(found: Command, words: Sequence[str], context: Context) -> Result:
    """Parses the words after a command's own and runs it. See `run`."""
    args = parse(found, words)
    context.json = context.json or args.json
    if args.help:
        text = command_help(found, context.prefix)
        return Result(text, text, {"help": text})
    for name in ("resource_group", "subscription_id"):
        if getattr(args, name) is not None:
            context.note(f"note: --{name.replace('_', '-')} is not used here; the workspace is a folder.")
    result = found.run(context, args)
    if args.show_python and result.python:
        from mldeploy_jupyter.commands.python_code import whole

        context.note(whole(result, context, args))
    return result


def _help_of(words: Sequence[str]) -> Result:
    if words and any(tuple(words[:2]) == item.path for item in COMMANDS):
        text = command_help(find_command(words, COMMANDS)[0])
    else:
        text = overview(COMMANDS, words[0] if words and words[0] in {c.path[0] for c in COMMANDS} else "")
    return Result(text, text, {"help": text})


def command(*path: str) -> Command:
    """The command of a path: `command("model", "deploy")`. Raises `UsageError`."""
    return find_command(path, COMMANDS)[0]


def options_of(command: Command) -> tuple[Param, ...]:
    """Every parameter of a command, the common ones last."""
    return command.all_params


def complete_line(words: Sequence[str], context: Context) -> list[str]:
    """Completion of a whole command line: command words first, then `complete`. Never raises."""
    words = list(words) or [""]
    for item in COMMANDS:
        size = len(item.path)
        if tuple(words[:size]) == item.path and len(words) > size:
            return complete(item, words[size:], context)
    depth = len(words) - 1
    starts = {
        item.path[depth] for item in COMMANDS if len(item.path) > depth and list(item.path[:depth]) == words[:depth]
    }
    return sorted(word for word in starts if word.startswith(words[-1]))
