"""From words to a command and its arguments. Never exits the process and never prints: it raises `UsageError`."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import NoReturn

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.grammar import COMMON, Args, Command, Param


class _Parser(argparse.ArgumentParser):
    """argparse for the options only; positionals are taken from what is left, in any order with options."""

    def error(self, message: str) -> NoReturn:
        raise UsageError("the options cannot be read", why=message[:1].lower() + message[1:])


def find_command(words: Sequence[str], commands: Sequence[Command]) -> tuple[Command, list[str]]:
    """The command that `words` begin with, and the rest. Raises `UsageError` with the nearest command."""
    for command in sorted(commands, key=lambda c: -len(c.path)):
        if tuple(words[: len(command.path)]) == command.path:
            return command, list(words[len(command.path) :])
    raise unknown_command(words, commands)


def unknown_command(words: Sequence[str], commands: Sequence[Command]) -> UsageError:
    groups = {command.path[0] for command in commands if len(command.path) > 1}
    if words[0] in groups:
        names = [command.path[1] for command in commands if command.path[0] == words[0]]
        if len(words) == 1 or words[1].startswith("-"):
            return UsageError(
                f"{words[0]!r} needs a second word",
                why=f"it is one of {', '.join(names)}",
                hint=f"run: mldeploy {words[0]} --help",
            )
        near = difflib.get_close_matches(words[1], names, n=1)
        asked, hint = f"{words[0]} {words[1]}", f"{words[0]} {near[0]}" if near else ""
        why = f"{words[0]} is followed by one of {', '.join(names)}"
    else:
        asked, firsts = words[0], list(dict.fromkeys(command.path[0] for command in commands))
        why = f"the first word is one of {', '.join(firsts)}"
        same = [command.name for command in commands if command.path[-1] == words[0]]
        known = sorted({*firsts, *(command.path[-1] for command in commands)})
        near = difflib.get_close_matches(words[0], known, n=1)
        guess = [command.name for command in commands if near and command.path[-1] == near[0]]
        hint = (same or guess or [near[0] if near else ""])[0]
        if near and near[0] in groups:
            hint = " ".join([near[0], *words[1:2]])
    return UsageError(
        f"{asked!r} is not a command",
        why=why,
        hint=f"did you mean: mldeploy {hint}" if hint else "run: mldeploy --help",
    )


def parse(command: Command, words: Sequence[str]) -> Args:
    """The arguments; what was left out is None (switches False, lists None). Raises `UsageError`."""
    parser = _Parser(prog=command.name, add_help=False, allow_abbrev=False, argument_default=None)
    for param in command.all_params:
        if param.flags:
            _add(parser, param)
    try:
        args, rest = parser.parse_known_args(list(words))
    except argparse.ArgumentError as error:
        raise _with_help(command, UsageError("the options cannot be read", why=str(error))) from None
    except UsageError as error:
        raise _with_help(command, error) from None
    for param in command.positionals:
        if not param.flags:
            setattr(args, param.name, None)
    _place(command, args, rest)
    if str(args.output).lower() in ("json", "jsonc"):
        args.json = True
    if not args.help:
        _check(command, args)
    return args


def _add(parser: argparse.ArgumentParser, param: Param) -> None:
    flags, dest = param.flags, param.name
    if param.kind == "switch":
        parser.add_argument(*flags, dest=dest, action="store_true", default=False)
    elif param.kind == "toggle":
        parser.add_argument(*flags, dest=dest, nargs="?", const="true", default=None)
    elif param.kind == "list":
        parser.add_argument(*flags, dest=dest, nargs="+", action="extend", default=None)
    else:
        parser.add_argument(*flags, dest=dest, default=None)


def _place(command: Command, args: Args, rest: list[str]) -> None:
    """Puts the words that belong to no option into the positionals."""
    literal = rest.index("--") if "--" in rest else len(rest)
    unknown = next((word for word in rest[:literal] if word.startswith("-") and len(word) > 1), None)
    if unknown is not None:
        raise unknown_option(command, unknown.partition("=")[0])
    values = rest[:literal] + rest[literal + 1 :]
    slots = list(command.positionals)
    for value in values:
        if not slots:
            names = ", ".join(param.placeholder for param in command.positionals) or "options only"
            error = UsageError(f"{value!r} is one word too many for mldeploy {command.name}", why=f"it takes {names}")
            raise _with_help(command, error)
        slot = slots[0]
        if slot.kind == "list":
            setattr(args, slot.name, [*(getattr(args, slot.name) or []), value])
            continue
        slots.pop(0)
        if getattr(args, slot.name) not in (None, value):
            why = f"one is {getattr(args, slot.name)!r}, the other {value!r}"
            raise _with_help(command, UsageError(f"{slot.shown} is given twice", why=why))
        setattr(args, slot.name, value)


def unknown_option(command: Command, option: str) -> UsageError:
    flags = [flag for param in command.all_params for flag in param.flags]
    near = difflib.get_close_matches(option, flags, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else f"run: mldeploy {command.name} --help"
    own = [param.shown for param in command.params if param.flags]
    why = f"it takes {', '.join(own) or 'none of its own'}"
    if len(own) > 8:
        why = f"it takes {len(own)} options, and its help lists them"
    return UsageError(f"{option} is not an option of mldeploy {command.name}", why=why, hint=hint)


def _check(command: Command, args: Args) -> None:
    missing = [param.shown for param in command.params if param.required and getattr(args, param.name) is None]
    if missing:
        what = f"mldeploy {command.name} needs {' and '.join(missing)}"
        raise UsageError(what, why="it was not given", hint=_example(command))
    for param in command.all_params:
        value = getattr(args, param.name)
        if value is None:
            continue
        if param.choices and str(value).lower() in param.choices:
            setattr(args, param.name, str(value).lower())
        elif param.choices:
            near = difflib.get_close_matches(str(value), param.choices, n=1)
            hint = f"did you mean {near[0]}?" if near else f"run: mldeploy {command.name} --help"
            why = f"it must be one of {', '.join(param.choices)}"
            raise UsageError(f"{param.shown} cannot be {value!r}", why=why, hint=hint)
        if param.kind in ("integer", "number"):
            setattr(args, param.name, _number(command, param, value))
        elif param.kind == "toggle":
            setattr(args, param.name, _truth(command, param, value))


def _number(command: Command, param: Param, text: str) -> int | float:
    try:
        return int(text) if param.kind == "integer" else float(text)
    except ValueError:
        word = "an integer" if param.kind == "integer" else "a number"
        raise _with_help(command, UsageError(f"{param.shown} cannot be {text!r}", why=f"it must be {word}")) from None


def _truth(command: Command, param: Param, text: str) -> bool:
    if text.lower() in ("true", "yes", "on", "1"):
        return True
    if text.lower() in ("false", "no", "off", "0"):
        return False
    raise _with_help(command, UsageError(f"{param.shown} cannot be {text!r}", why="it must be true or false"))


def _with_help(command: Command, error: UsageError) -> UsageError:
    error.hint = error.hint or f"run: mldeploy {command.name} --help"
    return error


def _example(command: Command) -> str:
    return f"for example: mldeploy {command.example}" if command.example else f"run: mldeploy {command.name} --help"


def wants_json(words: Sequence[str]) -> bool:
    """Whether the words ask for JSON, known before they are parsed, so that errors in them can obey it too."""
    flags = {name: next(param.flags for param in COMMON if param.name == name) for name in ("json", "output")}
    for word, after in zip(words, [*words, ""][1:], strict=True):
        option, sign, value = word.partition("=")
        if word in flags["json"] or (
            option in flags["output"] and (value if sign else after).lower() in ("json", "jsonc")
        ):
            return True
    return False
