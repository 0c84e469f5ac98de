"""Small text forms of results: tables, key-value lists, `key=value` words."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mldeploy_jupyter.commands.errors import UsageError


def table(rows: Sequence[Sequence[Any]], head: Sequence[str]) -> str:
    """Columns as wide as their widest value."""
    cells = [[str(cell) if cell is not None else "-" for cell in row] for row in [head, *rows]]
    widths = [max(len(row[index]) for row in cells) for index in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def listing(values: Mapping[str, Any]) -> str:
    """One `name: value` a line; what is empty is left out."""
    shown = {key: value for key, value in values.items() if value not in (None, "", {}, [])}
    width = max((len(key) for key in shown), default=0) + 1
    return "\n".join(f"{key + ':':<{width}} {_plain(value)}" for key, value in shown.items())


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def pairs(words: Sequence[str] | None, flag: str) -> dict[str, str] | None:
    """`["a=1", "b"]` as a dict; a word without `=` has the value "". None stays None."""
    if words is None:
        return None
    out: dict[str, str] = {}
    for word in words:
        key, _, value = word.partition("=")
        if not key:
            raise UsageError(f"{flag} cannot be {word!r}", why="it must be key=value", hint=f"write {flag} key=value")
        out[key] = value
    return out


def read_json(path: str, flag: str) -> Any:
    """A JSON file that a flag names. Raises `UsageError`."""
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
    except UnicodeDecodeError:
        why = "it is not UTF-8 text"
    except json.JSONDecodeError as error:
        from mldeploy_jupyter.core.configs.config_file import json_problem

        words, line, column = json_problem(error)
        why = f"it is not valid JSON: {words} (line {line}, column {column})"
    raise UsageError(f"{flag} {path} cannot be read", why=why, hint="check the path and run the command again")


def check_writable(path: str, flag: str) -> None:
    """Raises `UsageError` when the file that a flag names cannot be written, before anything else is done."""
    there = os.path.lexists(path)
    try:
        with open(path, "ab"):
            pass
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UsageError(
            f"{flag} {path} cannot be written", why=why, hint="name a file in a folder that is there"
        ) from None
    if not there:
        os.remove(path)


def python_call(function: str, *args: str, **kwargs: Any) -> str:
    """A call as a user would type it; None is left out. `args` are already Python."""
    words = [*args, *(f"{name}={value!r}" for name, value in kwargs.items() if value is not None)]
    return f"{function}({', '.join(words)})"
