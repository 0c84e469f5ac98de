"""Help texts, generated from the commands."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from mldeploy_jupyter.commands.grammar import Command, Param
from mldeploy_jupyter.commands.options import OTHER_TARGETS

WIDTH = 100  # columns
INDENT = 30  # columns left of the descriptions


def overview(commands: Sequence[Command], group: str = "") -> str:
    """The help of all commands, or of one group."""
    shown = [command for command in commands if not group or command.path[0] == group]
    lines = [
        f"usage: mldeploy {group + ' ' if group else ''}COMMAND [OPTIONS]",
        "",
        "Deploy a model as a web service: checked, updated without downtime, measured.",
        "",
    ]
    width = max(len(command.name) for command in commands)
    group_above = shown[0].path[0] if shown else ""
    for command in shown:
        if command.path[0] != group_above:
            lines.append("")
            group_above = command.path[0]
        lines.append(f"  {command.name:<{width}}  {command.summary}")
    lines += [
        "",
        f"  {'--version':<{width}}  Print the version.",
        "",
        "Each command has its own help: mldeploy model deploy --help",
    ]
    return "\n".join(lines)


def usage(command: Command, prefix: str = "mldeploy ") -> str:
    words = [f"{prefix}{command.name}"]
    for param in command.positionals:
        word = param.placeholder + ("..." if param.kind == "list" else "")
        words.append(word if param.required else f"[{word}]")
    for param in command.params:
        if param.required and param.flags and not param.positional:
            words.append(f"{param.display_name} {param.placeholder}")
    return "usage: " + " ".join([*words, "[OPTIONS]"])


def command_help(command: Command, prefix: str = "mldeploy ", every_option: bool = False) -> str:
    """The help of one command: usage, description, options by group, example.

    Without `every_option` it has the options that most people need, each with its usual names only.
    """
    lines = [usage(command, prefix), "", command.doc]
    arguments = [param for param in command.positionals if not param.flags]
    if arguments:
        lines += ["", "Arguments:", *(line for param in arguments for line in _entry(param.placeholder, param.doc))]
    shown = [param for param in command.all_params if param.flags and (every_option or not param.advanced)]
    groups = dict.fromkeys(param.group for param in shown)
    # Options that cannot be used yet come last.
    for group in sorted(groups, key=lambda group: group.startswith(OTHER_TARGETS)):
        lines += ["", f"{group}:"]
        for param in shown:
            if param.group == group:
                lines += _entry(_option_words(param, every_option), _description(param))
    if command.example:
        lines += ["", "Example:", f"  {prefix}{command.example}"]
    return "\n".join(lines)


def _option_words(param: Param, every_name: bool) -> str:
    names = [flag for flag in param.flags if every_name or len(flag) == 2 or flag == param.display_name]
    flags = ", ".join(sorted(names, key=lambda flag: (flag.startswith("--"), len(flag))))
    if param.kind == "switch":
        return flags
    value = "true|false" if param.kind == "toggle" else param.placeholder
    if param.choices:
        value = "{" + ",".join(param.offered_choices) + "}"
    return f"{flags} {value}" + (" ..." if param.kind == "list" else "")


def _description(param: Param) -> str:
    return param.doc + (" Required." if param.required else "")


def _entry(left: str, right: str) -> list[str]:
    body = textwrap.wrap(right, WIDTH - INDENT) or [""]
    if len(left) + 4 > INDENT:
        return [f"  {left}", *(" " * INDENT + line for line in body)]
    return [f"  {left:<{INDENT - 2}}{body[0]}", *(" " * INDENT + line for line in body[1:])]
