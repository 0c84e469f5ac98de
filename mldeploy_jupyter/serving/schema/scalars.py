"""Single JSON values as values of a numpy type. A conversion that would lose something raises `ValidationError`.

Unless `lossy`: then fractions are cut off, texts cut to their width, numbers may come as strings, and digits or
precision beyond the type are dropped. What has no value at all there, such as null in an integer, is refused still.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .base import ValidationError, json_type, short_repr

Convert = Callable[[Any, str], Any]

BEGINS_WITH_A_YEAR = re.compile(r"[+-]?\d{4}")
EXACT = 2**53  # whole numbers up to here are exact in a float64


def to_int(value: Any, where: str, name: str, low: int, high: int) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, float):
        hint = "Give the sample a fraction (such as 1.0), or hint at floats, if the model takes fractions."
        raise ValidationError(where, f"{short_repr(value)} is not a whole number, and the type is {name}", hint)
    if type(value) is not int:
        raise ValidationError(where, f"expected a whole number ({name}), got {_got(value)}")
    if not low <= value <= high:
        raise ValidationError(where, f"{short_repr(value)} is out of the range of {name}")
    return value


def to_float(value: Any, where: str, name: str, limit: float = float("inf")) -> float:
    """null becomes NaN, which JSON cannot say."""
    if value is None:
        return float("nan")
    if type(value) not in (int, float):
        raise ValidationError(where, f"expected a number ({name}), got {_got(value)}")
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
    if type(value) is not bool:
        raise ValidationError(where, f"expected true or false, got {_got(value)}")
    return value


def to_str(value: Any, where: str, width: int | None = None) -> str:
    if type(value) is not str:
        raise ValidationError(where, f"expected a string, got {_got(value)}")
    if width is not None and len(value) > width:
        hint = "Give the sample a longer string, or dtype=object for any length."
        raise ValidationError(where, f"{short_repr(value)} has {len(value)} characters, the type holds {width}", hint)
    if width is not None and value.endswith("\0"):
        raise ValidationError(where, f"{short_repr(value)} ends with a NUL, which the type drops")
    return value


def to_datetime64(value: Any, where: str, dtype: Any, lossy: bool = False) -> Any:
    import numpy as np

    if value is None or value == "NaT":
        unit: Any = np.datetime_data(dtype)[0]
        return np.datetime64("NaT", unit)  # numpy is about to ask for the unit
    text = to_str(value, where)
    if not BEGINS_WITH_A_YEAR.match(text):  # numpy knows "now" and "today", and takes nothing for NaT
        raise ValidationError(where, f"{short_repr(value)} is not a date or time in ISO 8601")
    try:
        exact = np.datetime64(text.removesuffix("Z"))
        kept = exact.astype(dtype)
        lost = kept.astype(exact.dtype) != exact
    except (ValueError, OverflowError):
        raise ValidationError(where, f"{short_repr(value)} is not a date or time in ISO 8601") from None
    if lost and not lossy and not np.isnat(exact):
        raise ValidationError(where, f"{short_repr(value)} cannot be a {dtype} without losing precision")
    return kept


def to_bytes(value: Any, where: str, width: int) -> bytes:
    text = to_str(value, where)
    data = text.encode()
    if len(data) > width:
        raise ValidationError(where, f"{short_repr(value)} has {len(data)} bytes, the type holds {width}")
    if data.endswith(b"\0"):
        raise ValidationError(where, f"{short_repr(value)} ends with a NUL, which the type drops")
    return data


def converter(dtype: Any, lossy: bool = False) -> Convert:
    """How one JSON value becomes a value of a numpy dtype. Raises `TypeError` for types JSON has no form for."""
    strict = _strict(dtype, lossy)
    if not lossy or dtype.kind not in "iufbUSm":
        return strict

    def convert(value: Any, where: str) -> Any:
        try:
            return strict(value, where)
        except ValidationError:
            changed = _cut(value, dtype)
            if changed is value:
                raise
            return strict(changed, where)

    return convert


def _strict(dtype: Any, lossy: bool) -> Convert:
    import numpy as np

    kind, name = dtype.kind, str(dtype)
    if kind in "iu":
        info = np.iinfo(dtype)
        low, high = int(info.min), int(info.max)
        return lambda value, where: to_int(value, where, name, low, high)
    if kind == "f":
        limit = float(np.finfo(dtype).max)
        return lambda value, where: to_float(value, where, name, limit)
    if kind == "b":
        return to_bool
    if kind == "U":
        width = dtype.itemsize // 4
        return lambda value, where: to_str(value, where, width)
    if kind == "S":
        return lambda value, where: to_bytes(value, where, dtype.itemsize)
    if kind == "M":
        return lambda value, where: to_datetime64(value, where, dtype, lossy)
    if kind == "m":
        unit: Any = np.datetime_data(dtype)[0]
        return lambda value, where: np.timedelta64(to_int(value, where, name, -(2**63) + 1, 2**63 - 1), unit)
    if kind == "O":
        return lambda value, where: value
    raise TypeError(f"a sample of type {name} has no form in JSON")


def _cut(value: Any, dtype: Any) -> Any:
    """What is left of a value where its type cannot hold it; the value itself when that is nothing better."""
    kind = dtype.kind
    if kind == "U" and type(value) is str:
        return value[: dtype.itemsize // 4].rstrip("\0")
    if kind == "S" and type(value) is str:
        return value.encode()[: dtype.itemsize].decode("utf-8", "ignore").rstrip("\0")
    if kind == "U" and type(value) in (int, float):
        return str(value)[: dtype.itemsize // 4]
    if kind == "b" and type(value) in (int, float):
        return bool(value)
    if kind not in "iufm" or type(value) not in (int, float, str, bool):
        return value
    try:
        if kind == "f":
            return float(value)
        if isinstance(value, str):
            value = int(value) if value.strip().lstrip("+-").isdigit() else float(value)
        return int(value)
    except (ValueError, OverflowError):
        return value


def _got(value: Any) -> str:
    return (
        json_type(value)
        if value is None or isinstance(value, (list, dict))
        else f"{json_type(value)}, {short_repr(value)}"
    )
