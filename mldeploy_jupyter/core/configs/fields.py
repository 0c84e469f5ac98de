"""One setting of a deploy configuration as data, and what a wrong value of it is called.

The Python signature, the command line's flags, the file's schema and the forms are all made from `Field`.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["boolean", "integer", "number", "string", "path", "mapping", "strings"]

KIND_WORDS: dict[str, str] = {
    "boolean": "True or False",
    "integer": "an integer",
    "number": "a number",
    "string": "a string",
    "path": "the path of a file",
    "mapping": "a dict",
    "strings": "a list of strings",
}


@dataclass(frozen=True)
class Field:
    """A setting. `name` is Python's, `file` its dotted path in `deploymentconfig.json` ("" where v1's file has none).

    `default` is what the target does when nothing is passed; only `DeployConfig.resolved()` fills it in.
    `derive` takes what was passed and gives a default that depends on it. `above` excludes its bound, `minimum`
    and `maximum` include theirs. `rule` says `pattern` in words. `secret` values are never shown or saved.
    """

    name: str
    kind: Kind
    doc: str
    default: Any = None
    file: str = ""
    flags: tuple[str, ...] = ()
    above: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    pattern: str = ""
    rule: str = ""
    secret: bool = False
    derive: Callable[[Mapping[str, Any]], Any] | None = None


@dataclass(frozen=True)
class Violation:
    """What is wrong with one field: `{field} is {value}; it {limit}`. `fix` says what to pass instead.

    In `limit` and `fix`, `{name}` stands for another field and `{name=value}` for an assignment, which a
    `Spelling` writes in the words of Python, of the file or of the command line.
    """

    field: str
    value: str  # as shown; "missing" when nothing was passed
    limit: str
    fix: str = ""


@dataclass(frozen=True)
class Spelling:
    """How a surface writes a field: Python `cpu_cores=1`, a file `containerResourceRequirements.cpu: 1`, `--cc 1`."""

    names: Mapping[str, str]
    assign: str = "="

    def name(self, field: str) -> str:
        return self.names.get(field, field)

    def fill(self, text: str) -> str:
        return re.sub(r"\{(\w+)(?:=([^{}]*))?\}", self._token, text)

    def _token(self, match: re.Match[str]) -> str:
        name, value = self.name(match[1]), match[2]
        if value is None:
            return name
        if self.assign != "=":
            value = {"True": "true", "False": "false"}.get(value, value.replace("'", '"'))
        return f"{name}{self.assign}{value}"


PYTHON = Spelling({})


def describe(violation: Violation, spelling: Spelling = PYTHON) -> str:
    return f"{spelling.name(violation.field)} is {violation.value}; it {spelling.fill(violation.limit)}"


def shown(field: Field, value: Any) -> str:
    """A value as a message shows it; a secret is only counted, a long one is cut."""
    if field.secret:
        return f"a secret of {len(str(value))} characters"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def clean(field: Field, value: Any) -> Any:
    """The value in its plain form: numpy's scalars, whole floats for integers and path objects are taken.

    Whatever is not of the field's kind comes back as it is, for `check` to name.
    """
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if field.kind == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if field.kind in ("path", "string") and isinstance(value, os.PathLike):
        return os.fspath(value)
    if field.kind == "strings" and isinstance(value, tuple):
        return list(value)
    return value


def check(field: Field, value: Any) -> Violation | None:
    """What is wrong with a value that was passed, looked at alone. The value went through `clean`."""
    if not _is_kind(field, value):
        return Violation(
            field.name, f"{shown(field, value)} ({_type_word(value)})", _kind_limit(field), _kind_fix(field, value)
        )
    limit = _range_limit(field, value)
    if limit:
        return Violation(field.name, shown(field, value), limit, _default_fix(field))
    return None


def _is_kind(field: Field, value: Any) -> bool:
    match field.kind:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "string" | "path":
            return isinstance(value, str)
        case "mapping":
            return isinstance(value, dict) and all(isinstance(key, str) for key in value) and _is_json(value)
        case "strings":
            return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _range_limit(field: Field, value: Any) -> str:
    if field.kind in ("integer", "number"):
        if isinstance(value, float) and not math.isfinite(value):
            return "must be a finite number"
        if field.above is not None and value <= field.above:
            return f"must be greater than {plain(field.above)}"
        low, high = field.minimum, field.maximum
        too_low, too_high = low is not None and value < low, high is not None and value > high
        if too_low or too_high:
            return (
                f"must be between {plain(low)} and {plain(high)}"
                if low is not None and high is not None
                else f"must be at least {plain(low)}"
            )
    if field.pattern and not re.fullmatch(field.pattern, value):
        return field.rule
    if field.kind == "path" and not value:
        return "must not be empty"
    return ""


def plain(bound: float | None) -> str:
    """A bound as people write it: 0.1, 86400000."""
    return f"{bound:.0f}" if bound is not None and float(bound).is_integer() else f"{bound:g}"


def _type_word(value: Any) -> str:
    names = {
        "str": "a string",
        "bool": "a truth value",
        "int": "an integer",
        "float": "a number",
        "NoneType": "nothing",
    }
    return names.get(type(value).__name__, f"of type {type(value).__name__}")


def _kind_limit(field: Field) -> str:
    if field.kind == "mapping":
        return "must be a dict whose keys are strings and whose values can be written as JSON"
    return f"must be {KIND_WORDS[field.kind]}"


def _kind_fix(field: Field, value: Any) -> str:
    if isinstance(value, str) and not field.secret:
        parsed = _parse(field, value.strip())
        if parsed is not None:
            return f"pass {{{field.name}={parsed!r}}}, without quotes"
    if field.kind == "strings" and isinstance(value, str):
        return f"pass {{{field.name}={[value]!r}}}"
    return _default_fix(field)


def _parse(field: Field, text: str) -> Any:
    if field.kind == "boolean":
        return {"true": True, "false": False}.get(text.lower())
    if field.kind in ("integer", "number"):
        try:
            number = float(text)
        except ValueError:
            return None
        number = int(number) if number.is_integer() else number
        return number if _is_kind(field, number) and not _range_limit(field, number) else None
    return None


def _default_fix(field: Field) -> str:
    if field.default is None or field.kind == "mapping":
        return f"correct {{{field.name}}}, or leave it out"
    return f"pass {{{field.name}={field.default!r}}}, the default, or leave it out"
