"""Single JSON values as plain Python values. A conversion that would lose something raises `ValidationError`."""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .base import ValidationError, json_type, short_repr

Convert = Callable[[Any, str], Any]  # (JSON value, its place) -> Python value; raises `ValidationError`

EXACT = 2**53  # integers up to this size are exact in a float64


def to_int(value: Any, where: str, name: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`, which may come as 3.0. `name` is the type's, for the message.

    Raises `ValidationError` for anything else.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, float):
        hint = "Give the sample a fraction (such as 1.0), or hint at floats, if the model takes fractions."
        raise ValidationError(where, f"{short_repr(value)} is not a whole number, and the type is {name}", hint)
    if type(value) is not int:
        raise ValidationError(where, f"expected a whole number ({name}), got {_type_and_value(value)}")
    if not low <= value <= high:
        raise ValidationError(where, f"{short_repr(value)} is out of the range of {name}")
    return value


def to_float(value: Any, where: str, name: str, limit: float = float("inf")) -> float:
    """A number from -`limit` to `limit`; null becomes NaN, which JSON cannot express.

    Raises `ValidationError` for anything else, and for an integer that a double cannot represent exactly.
    """
    if value is None:
        return float("nan")
    if type(value) not in (int, float):
        raise ValidationError(where, f"expected a number ({name}), got {_type_and_value(value)}")
    if type(value) is int and abs(value) > EXACT:
        try:
            same = int(float(value)) == value
        except OverflowError:
            same = False
        if not same:
            raise ValidationError(where, f"{short_repr(value)} cannot be a {name} without losing digits")
    if abs(value) > limit:
        raise ValidationError(where, f"{short_repr(value)} is out of the range of {name}")
    return float(value)


def to_bool(value: Any, where: str) -> bool:
    """True or false. Raises `ValidationError` for anything else, also for 0 and 1."""
    if type(value) is not bool:
        raise ValidationError(where, f"expected true or false, got {_type_and_value(value)}")
    return value


def to_str(value: Any, where: str, width: int | None = None) -> str:
    """A string; with a `width`, one of at most so many characters as numpy can store it: without a NUL at its end.

    Raises `ValidationError` for anything else.
    """
    if type(value) is not str:
        raise ValidationError(where, f"expected a string, got {_type_and_value(value)}")
    if width is not None and len(value) > width:
        hint = "Give the sample a longer string, or dtype=object for any length."
        raise ValidationError(where, f"{short_repr(value)} has {len(value)} characters, the type holds {width}", hint)
    if width is not None and value.endswith("\0"):
        raise ValidationError(where, f"{short_repr(value)} ends with a NUL, which the type drops")
    return value


def _to_int64(value: Any, where: str) -> int:
    return to_int(value, where, "int", -(2**63), 2**64 - 1)  # what orjson reads and writes: int64 and uint64


def _to_present_float(value: Any, where: str) -> float:
    if value is None:
        raise ValidationError(where, "expected a number (float), got null")
    return to_float(value, where, "float")


def _from_base64(value: Any, where: str) -> bytes:
    text = to_str(value, where)
    if "\n" in text:  # between its lines, as base64.encodebytes writes them
        text = text.replace("\r\n", "").replace("\n", "")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValidationError(where, f"{short_repr(value)} is not base64") from None


_BELOW_MICROSECONDS = re.compile(r"[.,]\d{6}\d*[1-9]")


def _from_iso(cls: Any, name: str) -> Convert:
    def parse(value: Any, where: str) -> Any:
        text = to_str(value, where)
        try:
            found = cls.fromisoformat(text)
        except ValueError:
            raise ValidationError(where, f"{short_repr(value)} is not a {name} in ISO 8601") from None
        if _BELOW_MICROSECONDS.search(text):  # Python drops these digits
            raise ValidationError(where, f"{short_repr(value)} cannot be counted in us without losing precision")
        return found

    return parse


_LOOSE_TIME = re.compile(r"(?=.*\d)(?!\d{4}-\d\d-\d\d).*[^\d\s]", re.ASCII | re.DOTALL)


def is_loose_time(text: str) -> bool:
    """Whether text may be a date or a time in another form than ISO 8601, such as 01/02/2020 or 3pm."""
    return _LOOSE_TIME.match(text) is not None


def parse_loose_time(kind: type, value: Any) -> Any:
    """Text in a form that `dateutil` reads, as a `kind` of date or time; None for all else, and without `dateutil`.

    As in v1, what the text lacks is that of today.
    """
    if kind not in (datetime.datetime, datetime.date, datetime.time) or type(value) is not str:
        return None
    try:
        from dateutil import parser

        found = parser.parse(value) if is_loose_time(value) else None
    except (ImportError, ValueError, OverflowError):
        return None
    if found is None or kind is datetime.datetime:
        return found
    return found.date() if kind is datetime.date else found.timetz()


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Scalar:
    """One Python type in JSON: `parse` reads it and raises `ValidationError`, `dump` writes it."""

    parse: Convert
    dump: Callable[[Any], Any]
    schema: dict[str, Any]


SCALARS: dict[type, Scalar] = {
    bool: Scalar(to_bool, _same, {"type": "boolean"}),
    int: Scalar(_to_int64, _same, {"type": "integer", "format": "int64"}),
    float: Scalar(_to_present_float, _same, {"type": "number", "format": "double"}),
    str: Scalar(to_str, _same, {"type": "string"}),
    bytes: Scalar(
        _from_base64,
        lambda data: base64.b64encode(data).decode(),
        {"type": "string", "contentEncoding": "base64"},
    ),
    datetime.datetime: Scalar(
        _from_iso(datetime.datetime, "date and time"),
        datetime.datetime.isoformat,
        {"type": "string", "format": "date-time"},
    ),
    datetime.date: Scalar(
        _from_iso(datetime.date, "date"), datetime.date.isoformat, {"type": "string", "format": "date"}
    ),
    datetime.time: Scalar(
        _from_iso(datetime.time, "time"), datetime.time.isoformat, {"type": "string", "format": "time"}
    ),
}


def _type_and_value(value: Any) -> str:
    if value is None or isinstance(value, (list, dict)):
        return json_type(value)
    return f"{json_type(value)}, {short_repr(value)}"
