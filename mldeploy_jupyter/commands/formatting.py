"""Results as text (tables, lists of values), and values read from words: `key=value`, JSON files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.core.errors import ConfigError
from mldeploy_jupyter.core.text import display_width, json_text, printable_line

if TYPE_CHECKING:
    from mldeploy_jupyter.api.webservices.details import Revisions


def table(rows: Sequence[Sequence[Any]], head: Sequence[str]) -> str:
    """Aligned columns under `head`; None is shown as `-`. Cells are cleaned."""
    cells = [[printable_line(str(cell)) if cell is not None else "-" for cell in row] for row in [head, *rows]]
    lengths = [[*map(display_width, row)] for row in cells]
    widths = [max(column) for column in zip(*lengths, strict=True)]
    return "\n".join(
        "  ".join(cell + " " * (width - length) for cell, width, length in zip(row, widths, own, strict=True)).rstrip()
        for row, own in zip(cells, lengths, strict=True)
    )


def target_word(service: Mapping[str, Any]) -> str:
    """Where a service runs, in tables: Docker, or the compute type. `service` is its data."""
    return "Docker" if service.get("engine") == "docker" else str(service["computeType"])


REVISION_HEAD = ("REVISION", "OUTCOME", "MODELS", "MADE")


def revision_rows(revisions: Revisions) -> list[tuple[str, str, str, str]]:
    """The cells of a table of revisions, in the columns of `REVISION_HEAD`."""
    rows = []
    for revision in revisions:
        made = revision["created_time"][:16].replace("T", " ")
        models = ", ".join(revision["models"]) or "-"
        outcome = revisions.describe_outcome(revision)
        rows.append((str(revision["number"]), outcome, models, f"{made} UTC" if made else "-"))
    return rows


def revision_table(revisions: Revisions) -> str:
    """The revisions, newest first."""
    return table(revision_rows(revisions), REVISION_HEAD)


def listing(values: Mapping[str, Any]) -> str:
    """One `name: value` per line; empty values are left out. Values are cleaned."""
    shown = {key: value for key, value in values.items() if value not in (None, "", {}, [])}
    width = max((len(key) for key in shown), default=0) + 1
    return "\n".join(f"{key + ':':<{width}} {printable_line(_as_text(value))}" for key, value in shown.items())


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


def pairs(words: Sequence[str] | None, flag: str) -> dict[str, str] | None:
    """`["a=1", "b"]` as `{"a": "1", "b": ""}`; None stays None. Raises `UsageError` for a word without a key."""
    if words is None:
        return None
    parsed: dict[str, str] = {}
    for word in words:
        key, _, value = word.partition("=")
        if not key:
            raise UsageError(f"{flag} cannot be {word!r}", why="it must be key=value", hint=f"write {flag} key=value")
        parsed[key] = value
    return parsed


def split_filters(words: Sequence[str] | None) -> list[str | list[str]]:
    """`["a=1", "b"]` as the filter `[["a", "1"], "b"]` of `Model.list`: a key alone matches any value."""
    return [word.split("=", 1) if "=" in word else word for word in words or []]


def read_id(path: str, flag: str, keys: Sequence[str], hint: str) -> str:
    """The id in the JSON file that the option `flag` names: the string at the first of `keys` that the file has.

    Raises `UsageError` when the file cannot be read or has none; `hint` says where such a file comes from.
    """
    from mldeploy_jupyter.core.configs.config_file import read_mapping

    try:
        data = read_mapping(Path(path))
    except ConfigError as error:
        raise UsageError(f"{flag} {path} cannot be read", why=error.why, hint=error.hint, where=error.where) from None
    found = next((data[key] for key in keys if data.get(key)), None)
    if not isinstance(found, str):
        why = f"it has no {keys[0]}" if found is None else f"its {keys[0]} is {found!r}, not a string"
        raise UsageError(f"{flag} {path} names nothing", why=why, hint=hint)
    return found


def check_writable(path: str, flag: str) -> None:
    """Raises `UsageError` when the file that the option `flag` names cannot be written. It leaves no file behind."""
    existed = os.path.lexists(path)
    try:
        with open(path, "ab"):
            pass
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UsageError(
            f"{flag} {path} cannot be written", why=why, hint="name a file in an existing folder"
        ) from None
    if not existed:
        os.remove(path)
