"""The values of a form as the words of its command, and what the three ways to type them look like."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from mldeploy_jupyter.commands.grammar import Command, Param

WIDTH = 88  # columns of a command in the preview; a longer one continues in the next line


def make_words(command: Command, values: Mapping[str, Any]) -> list[str]:
    """The command's words for these values, by the names of its parameters. A value of None or "" is left out."""
    words: list[str] = []
    for param in command.params:
        value = values.get(param.name)
        if value is None or value == "" or value == [] or value == {}:
            continue
        if param.positional or not param.flags:
            words.append(str(value))
            continue
        words += _option(param, value)
    return words


def _option(param: Param, value: Any) -> Iterable[str]:
    flag = param.display_name
    if param.kind == "switch":
        return [flag] if value else []
    if param.kind == "toggle":
        return [f"{flag}={'true' if value else 'false'}"] if isinstance(value, bool) else [f"{flag}={value}"]
    if param.kind == "list":
        items = (
            [f"{key}={item}" for key, item in value.items()]
            if isinstance(value, Mapping)
            else [str(one) for one in value]
        )
        # A word that begins with a dash would be read as an option of its own.
        return [f"{flag}={item}" for item in items] if any(item.startswith("-") for item in items) else [flag, *items]
    text = str(value)
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def shell_line(words: Iterable[str]) -> str:
    """The words as a line of a shell, continued where it is long."""
    return _fold([shlex.quote(word) for word in words], " \\\n    ")


def magic_line(words: Iterable[str]) -> str:
    """The words as the line of a magic, in which IPython replaces `{name}` and `$name`."""
    return " ".join(_quote_for_magic(word) for word in words)


def _quote_for_magic(word: str) -> str:
    return shlex.quote(word).replace("{", "{{").replace("}", "}}") if "{" in word or "}" in word else shlex.quote(word)


def _fold(words: list[str], separator: str) -> str:
    lines, line = [], ""
    for at, word in enumerate(words):
        # An option and its value stay together.
        if (
            line
            and len(line) + len(word) > WIDTH
            and (word.startswith("-") or at == 0 or not words[at - 1].startswith("-"))
        ):
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return separator.join([*lines, line])
