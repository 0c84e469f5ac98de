"""The description of one setting of a deploy configuration, and the check of its value."""

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
    """A setting. `name` is its name in Python, `file` its dotted path in `deploymentconfig.json`, "" if it has none.

    `doc` is one sentence for the documentation, `flags` its options on the command line. `default` is what the target
    does when nothing is passed; only `DeployConfig.resolve` fills it in. `derive` computes a default that depends on
    the values that were passed. `above` is an exclusive bound, `minimum` and `maximum` are inclusive. A string must
    match `pattern`, which `rule` says in words. Values of a `secret` setting are never shown or saved.
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

    @property
    def label(self) -> str:
        """The setting as forms and panels call it: `Worker count`, `Memory limit`. Without its unit."""
        return self.word[:1].upper() + self.word[1:]

    @property
    def word(self) -> str:
        """The label inside a sentence: `worker count`, `CORS origins`."""
        if self.name in _WORDS:
            return _WORDS[self.name]
        words = [word for word in self.name.split("_") if word not in _UNITS]
        return " ".join(_ABBREVIATIONS.get(word, word) for word in words)

    @property
    def unit(self) -> str:
        """The unit of its values: ms, s, MB, GB or ""."""
        named = next((_UNITS[word] for word in self.name.split("_") if word in _UNITS), "")
        return named or ("ms" if self.doc.startswith("Milliseconds") else "s" if self.doc.startswith("Seconds") else "")


_UNITS = {"ms": "ms", "seconds": "s", "mb": "MB", "gb": "GB"}
_WORDS = {
    "worker_count": "workers",
    "num_replicas": "replicas",
    "auth_enabled": "key authentication",
    "token_auth_enabled": "token authentication",
}
_ABBREVIATIONS = {"cpu": "CPU", "gpu": "GPU", "cors": "CORS", "ssl": "TLS", "cname": "CNAME"}


@dataclass(frozen=True)
class Violation:
    """What is wrong with one setting: `{field} is {value}; it {limit}`. `fix` says what to pass instead.

    In `limit` and `fix`, `{name}` stands for another setting and `{name=value}` for an assignment. A `Spelling` writes
    both as in Python, as in the file or as on the command line.
    """

    field: str
    value: str  # as messages show it; "missing" when nothing was passed
    limit: str
    fix: str = ""


@dataclass(frozen=True)
class Spelling:
    """How a setting is written: in Python `cpu_cores=1`, in a file `containerResourceRequirements.cpu: 1`, or `--cc 1`.

    `names` maps names in Python to the names to show; `assign` stands between name and value.
    """

    names: Mapping[str, str]
    assign: str = "="

    def name(self, field: str) -> str:
        """The name of the setting that Python calls `field`."""
        return self.names.get(field, field)

    def fill(self, text: str) -> str:
        """The `limit` or `fix` of a violation, with settings written in this spelling."""
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
    """The violation as a sentence."""
    return f"{spelling.name(violation.field)} is {violation.value}; it {spelling.fill(violation.limit)}"


def format_value(field: Field, value: Any) -> str:
    """A value as messages show it: of a secret only the length, of a long value only the start."""
    if field.secret:
        return f"a secret of {len(str(value))} characters"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def normalize_value(field: Field, value: Any) -> Any:
    """The value as plain Python data: accepts numpy scalars, whole floats as integers, path objects and tuples.

    A value of another kind is returned as it is; `check_value` reports it.
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


def check_value(field: Field, value: Any) -> Violation | None:
    """What is wrong with a normalized value by itself, without regard to other settings; None if nothing is."""
    if not _is_kind(field, value):
        return Violation(
            field.name,
            f"{format_value(field, value)} ({_type_word(value)})",
            _kind_limit(field),
            _kind_fix(field, value),
        )
    limit = _range_limit(field, value)
    if limit:
        return Violation(field.name, format_value(field, value), limit, _default_fix(field))
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
            return f"must be greater than {format_bound(field.above)}"
        low, high = field.minimum, field.maximum
        too_low, too_high = low is not None and value < low, high is not None and value > high
        if too_low or too_high:
            return (
                f"must be between {format_bound(low)} and {format_bound(high)}"
                if low is not None and high is not None
                else f"must be at least {format_bound(low)}"
            )
    if field.pattern and not re.fullmatch(field.pattern, value):
        return field.rule
    if field.kind == "path" and not value:
        return "must not be empty"
    return ""


def format_bound(bound: float | None) -> str:
    """A bound without an exponent or trailing zeros: 0.1, 86400000."""
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
    """The advice for a value of the wrong kind."""
    if isinstance(value, str) and not field.secret:
        parsed = _parse(field, value.strip())
        if parsed is not None:
            return f"pass {{{field.name}={parsed!r}}}, without quotes"
    if field.kind == "strings" and isinstance(value, str):
        return f"pass {{{field.name}={[value]!r}}}"
    return _default_fix(field)


def _parse(field: Field, text: str) -> Any:
    """The value that was probably meant by a text; None if the text is not a valid value."""
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
