"""Parses words into a command and its arguments. It never exits or prints: it raises `UsageError`."""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Sequence
from typing import NoReturn

from mldeploy_jupyter.commands.az.advice import explain_v1, explain_v1_option
from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.grammar import COMMON, Args, Command, Param


class _Parser(argparse.ArgumentParser):
    """Parses the options only. Positionals are assigned from the remaining words, so they may stand between options."""

    def error(self, message: str) -> NoReturn:
        raise UsageError("the options cannot be read", why=message[:1].lower() + message[1:])


def _formatter(prog: str) -> argparse.HelpFormatter:
    """argparse makes one for each option, and without a width each queries the terminal."""
    return argparse.HelpFormatter(prog, width=80)


# Messages of argparse about the value of an option, which name all its spellings.
_NO_VALUE = r"argument (\S+): expected (?:at least )?one argument"
_SWITCH_WITH_VALUE = r"argument (\S+): ignored explicit argument (.+)"


# Names of commands in other programs.
_OTHER_NAMES = {
    **dict.fromkeys(("score", "predict", "invoke"), "service run"),
    **dict.fromkeys(("status", "describe"), "service show"),
    **dict.fromkeys(("ls", "ps"), "service list"),
    **dict.fromkeys(("rm", "remove", "undeploy"), "service delete"),
    "serve": "model deploy",
    "init": "workspace create",
}


def find_command(words: Sequence[str], commands: Sequence[Command]) -> tuple[Command, list[str]]:
    """The command that `words` begin with, and the remaining words. Raises `UsageError` that suggests a command."""
    for command in sorted(commands, key=lambda c: -len(c.path)):
        if tuple(words[: len(command.path)]) == command.path:
            return command, list(words[len(command.path) :])
    raise unknown_command(words, commands)


def unknown_command(words: Sequence[str], commands: Sequence[Command]) -> UsageError:
    """The error for words that begin with no command."""
    first = words[0]
    explained = explain_v1(words)
    if explained is not None:
        return explained
    names = [command.path[1] for command in commands if command.path[0] == first and len(command.path) > 1]
    if not names:
        firsts = dict.fromkeys(command.path[0] for command in commands)
        if first in ("version", "-v", "-V"):
            return _not_a_command(first, f"the first word is one of {', '.join(firsts)}", "--version")
        return _not_a_command(first, f"the first word is one of {', '.join(firsts)}", _suggest(words, commands))
    if len(words) == 1 or words[1].startswith("-"):
        return UsageError(
            f"{first!r} needs a second word",
            why=f"it is one of {', '.join(names)}",
            hint=f"run: mldeploy {first} --help",
        )
    meant = _OTHER_NAMES.get(words[1], "").rpartition(" ")[2]
    near = [meant] if meant in names else _close_matches(words[1], names)
    why = f"{first} is followed by one of {', '.join(names)}"
    return _not_a_command(f"{first} {words[1]}", why, f"{first} {near[0]}" if near else "", f"{first} --help")


def _not_a_command(typed: str, why: str, suggestion: str, help_words: str = "--help") -> UsageError:
    hint = f"did you mean: mldeploy {suggestion}" if suggestion else f"run: mldeploy {help_words}"
    return UsageError(f"{typed!r} is not a command", why=why, hint=hint)


def _close_matches(word: str, words: Sequence[str]) -> list[str]:
    """The word that was meant, if any. Most lines have no mistake, and need no `difflib`."""
    from difflib import get_close_matches

    return get_close_matches(word, words, n=1)


def _suggest(words: Sequence[str], commands: Sequence[Command]) -> str:
    """The command that a wrong first word may stand for; "" when nothing resembles it."""
    if words[0] in _OTHER_NAMES:
        return _OTHER_NAMES[words[0]]
    groups = {command.path[0] for command in commands if len(command.path) > 1}
    by_last_word = {command.path[-1]: command.name for command in reversed(commands)}
    near = _close_matches(words[0], sorted({*groups, *by_last_word}))
    if near and near[0] in groups:
        # `mldeploy services`, alone, means the list.
        return " ".join([near[0], *(words[1:2] or ["list"] * ((near[0], "list") in {c.path for c in commands}))])
    # `mldeploy deploy` instead of `mldeploy model deploy`, or a misspelling of it
    return by_last_word.get(near[0], "") if near else ""


def parse(command: Command, words: Sequence[str]) -> Args:
    """The arguments of a command. Omitted ones are None, omitted switches False. Raises `UsageError`."""
    parser = _Parser(
        prog=command.name, add_help=False, allow_abbrev=False, argument_default=None, formatter_class=_formatter
    )
    for param in command.all_params:
        if param.flags:
            _add_option(parser, param)
    try:
        args, rest = parser.parse_known_args(_complete_options(command, words))
    except argparse.ArgumentError as error:
        raise _with_help(command, UsageError("the options cannot be read", why=str(error))) from None
    except UsageError as error:
        raise _with_help(command, _value_error(command, error, words)) from None
    for param in command.positionals:
        if not param.flags:
            setattr(args, param.name, None)
    _assign_positionals(command, args, rest)
    if str(args.output).lower() in ("json", "jsonc"):
        args.json = True
    if not (args.help or args.help_all):
        _check_values(command, args, words)
    return args


def _complete_options(command: Command, words: Sequence[str]) -> list[str]:
    """The words, with options whose last words are left out in full, as `--workspace` for `--workspace-name`.

    `az` accepts any unambiguous beginning of an option; here it must consist of whole words.
    """
    flags = {flag: param for param in command.all_params for flag in param.flags}
    end = words.index("--") if "--" in words else len(words)
    completed = []
    for word in words[:end]:
        option, sign, value = word.partition("=")
        if option.startswith("--") and option not in flags:
            found = [flag for flag in flags if flag.startswith(f"{option}-")]
            if len({flags[flag].name for flag in found}) == 1:
                word = found[0] + sign + value
        completed.append(word)
    return [*completed, *words[end:]]


def _value_error(command: Command, error: UsageError, words: Sequence[str]) -> UsageError:
    """The error with the option as it was typed, when it lacks a value or has one too many."""
    found = re.fullmatch(_NO_VALUE, error.why) or re.fullmatch(_SWITCH_WITH_VALUE, error.why)
    if found is None:
        return error
    flags = found[1].split("/")
    typed = next((word for word in reversed(words) if word.partition("=")[0] in flags), flags[-1])
    flag = typed.partition("=")[0]
    if found.re.pattern == _SWITCH_WITH_VALUE:
        return UsageError(f"{flag} takes no value", why=f"it was given {found[2]}", hint=f"write {flag} alone")
    after = next((after for word, after in itertools.pairwise(words) if word == typed), "")
    if len(after) > 1 and after not in {known for param in command.all_params for known in param.flags}:
        hint = f"a value that begins with - is written {flag}={after}"
        return UsageError(f"{flag} needs a value", why=f"{after} looks like an option", hint=hint)
    return UsageError(f"{flag} needs a value", why=f"{after} follows it" if after else "nothing follows it")


def _add_option(parser: argparse.ArgumentParser, param: Param) -> None:
    flags, dest = param.flags, param.name
    if param.kind == "switch":
        parser.add_argument(*flags, dest=dest, action="store_true", default=False)
    elif param.kind == "toggle":
        parser.add_argument(*flags, dest=dest, nargs="?", const="true", default=None)
    elif param.kind == "list":
        parser.add_argument(*flags, dest=dest, nargs="+", action="extend", default=None)
    else:
        parser.add_argument(*flags, dest=dest, default=None)


def _assign_positionals(command: Command, args: Args, rest: list[str]) -> None:
    """Assigns the words that belong to no option to the positionals, in their order."""
    options_end = rest.index("--") if "--" in rest else len(rest)
    unknown = next((word for word in rest[:options_end] if word.startswith("-") and len(word) > 1), None)
    if unknown is not None:
        raise unknown_option(command, unknown.partition("=")[0])
    values = rest[:options_end] + rest[options_end + 1 :]
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
            error = UsageError(f"{slot.display_name} is given twice", why=why)
            number = next((text for text in (getattr(args, slot.name), value) if text.isdigit()), "")
            if number and any(param.name == "num_lines" for param in command.params):  # -n as of tail
                error.hint = f"the number of lines is -l {number}"
            raise _with_help(command, error)
        setattr(args, slot.name, value)


def unknown_option(command: Command, option: str) -> UsageError:
    explained = explain_v1_option(option, command.name)
    if explained is not None:
        return explained
    flags = [flag for param in command.all_params for flag in param.flags]
    near = _close_matches(option, flags)
    same = [param.display_name for param in command.all_params if near and near[0] in param.flags]
    if near and same and near[0].replace("_", "-") == same[0]:
        near = same  # a spelling of v1, such as --num_lines
    hint = f"did you mean {near[0]}?" if near else f"run: mldeploy {command.name} --help"
    own = [param.display_name for param in command.params if param.flags]
    why = f"it takes {', '.join(own) or 'none of its own'}"
    if len(own) > 8:
        why = "--help-all lists its options"
    return UsageError(f"{option} is not an option of mldeploy {command.name}", why=why, hint=hint)


def _check_values(command: Command, args: Args, words: Sequence[str]) -> None:
    missing = [
        param.placeholder if param.positional else param.display_name
        for param in command.params
        if param.required and getattr(args, param.name) is None
    ]
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
            near = _close_matches(str(value), param.choices)
            hint = f"did you mean {near[0]}?" if near else f"run: mldeploy {command.name} --help"
            several = f"one of {', '.join(param.offered_choices)}"
            why = f"it must be {several if len(param.offered_choices) > 1 else param.offered_choices[0]}"
            raise UsageError(f"{_typed_flag(param, words)} cannot be {value!r}", why=why, hint=hint)
        if param.kind in ("integer", "number"):
            setattr(args, param.name, _parse_number(param, value, _typed_flag(param, words)))
        elif param.kind == "toggle":
            setattr(args, param.name, _parse_toggle(value, _typed_flag(param, words)))


def _typed_flag(param: Param, words: Sequence[str]) -> str:
    """The flag as the user typed it; the usual one for a value that stood alone."""
    typed = {word.partition("=")[0] for word in words}
    return next((flag for flag in param.flags if flag in typed), param.display_name)


def _parse_number(param: Param, text: str, flag: str) -> int | float:
    try:
        return int(text) if param.kind == "integer" else float(text)
    except ValueError:
        word = "an integer" if param.kind == "integer" else "a number"
        hint = f"write {flag} and {word} after it"
        raise UsageError(f"{flag} cannot be {text!r}", why=f"it must be {word}", hint=hint) from None


def _parse_toggle(text: str, flag: str) -> bool:
    if text.lower() in ("true", "yes", "on", "1"):
        return True
    if text.lower() in ("false", "no", "off", "0"):
        return False
    hint = f"write {flag} true"
    raise UsageError(f"{flag} cannot be {text!r}", why="it must be true or false", hint=hint)


def _with_help(command: Command, error: UsageError) -> UsageError:
    error.hint = error.hint or f"run: mldeploy {command.name} --help"
    return error


def _example(command: Command) -> str:
    return f"for example: mldeploy {command.example}" if command.example else f"run: mldeploy {command.name} --help"


def wants_json(words: Sequence[str]) -> bool:
    """Whether the words ask for JSON. Known before they are parsed, so that usage errors are JSON, too."""
    flags = {name: next(param.flags for param in COMMON if param.name == name) for name in ("json", "output")}
    for word, after in zip(words, [*words, ""][1:], strict=True):
        option, sign, value = word.partition("=")
        if word in flags["json"] or (
            option in flags["output"] and (value if sign else after).lower() in ("json", "jsonc")
        ):
            return True
    return False
