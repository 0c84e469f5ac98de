"""Single JSON values as values of a numpy dtype. A conversion that would lose something raises `ValidationError`.

`lossy` conversions do what they can instead: fractions are cut off, strings cut to their width, numbers may come as
strings, digits and precision beyond the type are dropped. A value with nothing to fall back on, such as null for an
integer, is still refused.
"""

from __future__ import annotations

import re
from typing import Any

from .base import ValidationError, short_repr
from .scalars import Convert, to_bool, to_float, to_int, to_str

_DURATION = re.compile(
    r"(-)?P(?:(\d{1,9})D)?(?:T(?:(\d{1,12})H)?(?:(\d{1,12})M)?(?:(\d{1,12})(?:\.(\d{1,9}))?S)?)?", re.ASCII
)

STARTS_WITH_YEAR = re.compile(r"[+-]?\d{4}")


def to_datetime64(value: Any, where: str, dtype: Any, lossy: bool = False) -> Any:
    """A `numpy.datetime64` from ISO 8601; null and "NaT" become NaT.

    Raises `ValidationError` for other text, and, unless `lossy`, for precision that `dtype` does not have.
    """
    import numpy as np

    if value is None or value == "NaT":
        unit: Any = np.datetime_data(dtype)[0]
        return np.datetime64("NaT", unit)  # a NaT without a unit is deprecated
    text = to_str(value, where)
    if not STARTS_WITH_YEAR.match(text):  # numpy also accepts "now" and "today", and reads "" as NaT
        raise ValidationError(where, f"{short_repr(value)} is not a date or time in ISO 8601")
    try:
        exact = np.datetime64(text.removesuffix("Z"))
        converted = exact.astype(dtype)
        lost = converted.astype(exact.dtype) != exact
    except (ValueError, OverflowError):
        raise ValidationError(where, f"{short_repr(value)} is not a date or time in ISO 8601") from None
    if lost and not lossy and not np.isnat(exact):
        raise ValidationError(where, f"{short_repr(value)} cannot be a {dtype} without losing precision")
    return converted


def to_timedelta64(value: Any, where: str, dtype: Any) -> Any:
    """A `numpy.timedelta64` from a count of its unit, or from ISO 8601 such as `P1DT2H`; null becomes NaT.

    Raises `ValidationError` for anything else, and for precision that `dtype` does not have.
    """
    import numpy as np

    unit: Any = np.datetime_data(dtype)[0]
    if value is None:
        return np.timedelta64("NaT", unit)
    if type(value) is not str:
        return np.timedelta64(to_int(value, where, str(dtype), -(2**63) + 1, 2**63 - 1), unit)
    match = _DURATION.fullmatch(value)
    if match is None or value.endswith(("P", "T")):
        raise ValidationError(where, f"{short_repr(value)} is not a duration, such as P1DT2H")
    sign, days, hours, minutes, seconds, fraction = match.groups()
    whole = ((int(days or 0) * 24 + int(hours or 0)) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)
    count = (whole * 10**9 + int((fraction or "").ljust(9, "0"))) * (-1 if sign else 1)
    if abs(count) >= 2**63:
        raise ValidationError(where, f"{short_repr(value)} is out of the range of {dtype}")
    exact = np.timedelta64(count, "ns")
    converted = exact.astype(dtype)
    if converted.astype("timedelta64[ns]") != exact:
        raise ValidationError(where, f"{short_repr(value)} cannot be a {dtype} without losing precision")
    return converted


def to_bytes(value: Any, where: str, width: int) -> bytes:
    """The UTF-8 of a string, at most `width` bytes. Raises `ValidationError` for anything else."""
    text = to_str(value, where)
    data = text.encode()
    if len(data) > width:
        raise ValidationError(where, f"{short_repr(value)} has {len(data)} bytes, the type holds {width}")
    if data.endswith(b"\0"):
        raise ValidationError(where, f"{short_repr(value)} ends with a NUL, which the type drops")
    return data


def converter(dtype: Any, lossy: bool = False) -> Convert:
    """The conversion of one JSON value to a value of `dtype`. Raises `TypeError` for a dtype without a form in JSON."""
    strict = _strict_converter(dtype, lossy)
    if not lossy or dtype.kind not in "iufbUSm":
        return strict

    def convert(value: Any, where: str) -> Any:
        try:
            return strict(value, where)
        except ValidationError:
            reduced = _reduce(value, dtype)
            if reduced is value:
                raise
            return strict(reduced, where)

    return convert


def _strict_converter(dtype: Any, lossy: bool) -> Convert:
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
        return lambda value, where: to_timedelta64(value, where, dtype)
    if kind == "O":
        return lambda value, where: value
    raise TypeError(f"a sample of type {name} has no form in JSON")


def _reduce(value: Any, dtype: Any) -> Any:
    """The nearest value that `dtype` can hold; `value` itself when there is none."""
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
