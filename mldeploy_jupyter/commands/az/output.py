"""The result of a command as `--query` and `--output` ask for it, with the meaning that they have in `az`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mldeploy_jupyter.commands.errors import UsageError
from mldeploy_jupyter.commands.formatting import table
from mldeploy_jupyter.commands.grammar import Args, Result
from mldeploy_jupyter.core.text import json_text

Query = Callable[[Any], Any]


def read_query(text: str | None) -> Query | None:
    """The JMESPath expression as a function; None without one. Raises `UsageError` when it is none."""
    if text is None:
        return None
    import jmespath
    from jmespath.exceptions import JMESPathError

    def failed(what: str, error: Exception) -> UsageError:
        why = str(error).partition("\n")[0].rstrip(" :") or type(error).__name__
        return UsageError(what, why=why[:1].lower() + why[1:], hint="such as --query '[].name', in quotes")

    try:
        compiled = jmespath.compile(text)
    except JMESPathError as error:
        raise failed(f"--query {text!r} is not a JMESPath expression", error) from None

    def query(data: Any) -> Any:
        try:
            return compiled.search(data)
        except JMESPathError as error:  # such as a function that gets null
            raise failed(f"--query {text!r} does not fit the result; the command itself succeeded", error) from None

    return query


def shape_result(result: Result, args: Args, query: Query | None) -> Result:
    """The result with the data that the query finds, and with its text in the format that `args.output` names.

    Unchanged without a query when the format is a table, or none is named. A query alone writes JSON, as in `az`.
    """
    name = args.output or ("json" if query is not None else "table")
    if query is None and name in ("table", "json", "jsonc"):
        return result
    data = json.loads(json_text(result.data))
    found = query(data) if query is not None else data
    return replace(result, value=None, data=found, text=_WRITERS[name](found), kind="data")


def _as_json(data: Any) -> str:
    return json_text(data, indent=2)


def _as_yaml(data: Any) -> str:
    import yaml

    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True).removesuffix("\n...\n").rstrip("\n")


def _as_tsv(data: Any) -> str:
    """A line for each item, with its values between tabs: of a list its length, of an object nothing."""
    if data is None or isinstance(data, str):
        return data or ""
    return "\n".join(_tsv_line(item) for item in (data if isinstance(data, list) else [data]))


def _tsv_line(item: Any) -> str:
    if isinstance(item, bool):
        return str(item).lower()
    if not isinstance(item, dict | list):
        return _tsv_cell(item)
    values = item.values() if isinstance(item, dict) else item
    return "\t".join(_tsv_cell(value) for value in values)


def _tsv_cell(value: Any) -> str:
    if isinstance(value, dict):
        return ""
    return str(len(value)) if isinstance(value, list) else re.sub(r"[\t\r\n]+", " ", str(value))


def _as_table(data: Any) -> str:
    """A row for each item. Values that are lists or objects have no column."""
    rows = [_table_row(item) for item in (data if isinstance(data, list) else [data])]
    head = list(dict.fromkeys(name for row in rows for name in row))
    if not head:
        return ""
    return table([[row.get(name) for name in head] for row in rows], [name[:1].upper() + name[1:] for name in head])


def _table_row(item: Any) -> dict[str, Any]:
    if isinstance(item, list):
        return {f"Column{number}": value for number, value in enumerate(item, 1)}
    if not isinstance(item, dict):
        return {"Result": item}
    return {str(name): value for name, value in item.items() if not isinstance(value, dict | list)}


_WRITERS: dict[str, Callable[[Any], str]] = {
    "json": _as_json,
    "jsonc": _as_json,
    "yaml": _as_yaml,
    "yamlc": _as_yaml,
    "tsv": _as_tsv,
    "table": _as_table,
    "none": lambda data: "",
}

OUTPUTS = tuple(_WRITERS)
