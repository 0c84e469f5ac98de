"""Values of a notebook as JSON for a request: nothing is lost silently, what has no form in JSON is refused.

Missing values (NaN, NaT, NA, None) become null, dates and durations ISO 8601, bytes base64, enums their values, sets
lists, dataclasses and pydantic models objects of their fields. Tables are lists of objects, one a row (`tables.py`).
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import json
import math
import sys
import uuid
from collections.abc import Mapping, Set
from pathlib import PurePath
from typing import Any

from mldeploy_jupyter.core import tables

MAX_DIGITS = 400  # of a whole Decimal that is written as a number; Decimal("1E+999999") would fill the memory


class NotWritable(ValueError):
    """A value has no form in JSON. Its text names the place; `hint` says what to send instead."""

    def __init__(self, where: str, text: str, hint: str = "") -> None:
        super().__init__(f"{where}: {text}" if where else text)
        self.hint = hint


def to_json(value: Any) -> str:
    """The value as JSON text. Raises `NotWritable`, with the place, for what has no form in JSON."""
    try:
        return json.dumps(value, default=_default, allow_nan=False)
    except NotWritable:
        pass  # once more, with the place
    except (TypeError, ValueError):
        pass  # NaN, a key that is not a string, or a value that contains itself
    return json.dumps(to_plain(value, ""), allow_nan=False)


def to_plain(value: Any, where: str) -> Any:
    """The value as dicts with strings as keys, lists, numbers, strings, booleans and None. Raises `NotWritable`."""
    try:
        return _to_plain(value, where)
    except RecursionError:
        raise NotWritable(where, "the input is nested too deeply, or contains itself") from None


def _default(value: Any) -> Any:
    return _to_plain(value, "")


def _to_plain(value: Any, where: str) -> Any:
    kind = type(value)
    if value is None or kind in (str, bool, int):
        return value
    if isinstance(value, enum.Enum):
        return _to_plain(value.value, where)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _number(float(value), where)
    if isinstance(value, Mapping):
        return _object(value, where)
    if isinstance(value, (list, tuple, Set, range)) or kind.__name__ in ("deque", "dict_keys", "dict_values"):
        return [_to_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if tables.is_missing(value):
        return None
    for convert in (_from_library, _from_standard_library, _from_numpy):
        found = convert(value, where)
        if found is not _UNKNOWN:
            return found
    if hasattr(value, "__next__"):
        raise NotWritable(where, f"a {kind.__name__} cannot be written as JSON", "send list(...) of it")
    if callable(getattr(value, "tolist", None)):
        return _to_plain(value.tolist(), where)
    raise NotWritable(where, f"{kind.__name__} cannot be written as JSON")


_UNKNOWN: Any = object()


def _number(value: float, where: str) -> float | None:
    if math.isinf(value):
        raise NotWritable(where or "the input", f"it is {value}, and JSON has no infinity")
    return None if math.isnan(value) else value


def _object(value: Mapping[Any, Any], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = _key(key, where)
        if name in found:
            raise NotWritable(where, f"two keys are {name!r} in JSON", "rename one of them")
        found[name] = _to_plain(item, f"{where}.{name}" if where else name)
    return found


def _key(key: Any, where: str) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if isinstance(key, str):
        return str(key)
    if key is None or isinstance(key, bool):
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, (int, float, uuid.UUID)) or type(key).__module__ == "numpy":
        return str(key)
    if hasattr(key, "isoformat"):
        return str(key.isoformat())
    text = f"a key of type {type(key).__name__} cannot be written as JSON"
    raise NotWritable(where, text, "use strings as keys")


def _from_library(value: Any, where: str) -> Any:
    """A table, a column or a scalar of pandas, polars or pyarrow as plain values."""
    try:
        table = tables.read_table(value)
        cells = table.records() if table is not None else tables.read_column(value)
    except tables.NotATable as error:
        raise NotWritable(where, str(error), error.hint) from None
    return _UNKNOWN if cells is None else _to_plain(cells, where)


def _from_standard_library(value: Any, where: str) -> Any:
    if isinstance(value, datetime.timedelta):
        return duration_text(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return _decimal(value, where)
    if isinstance(value, (uuid.UUID, PurePath)):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return _object(fields, where)
    if callable(getattr(value, "model_dump", None)) and not isinstance(value, type):  # pydantic
        return _to_plain(value.model_dump(mode="json", by_alias=True), where)
    return _UNKNOWN


def duration_text(value: datetime.timedelta) -> str:
    """A duration in ISO 8601, as pandas writes and reads it: `P1DT2H3M4.5S`."""
    if hasattr(value, "isoformat"):  # pandas' own
        return str(value.isoformat())
    sign, value = ("-", -value) if value < datetime.timedelta(0) else ("", value)
    minutes, seconds = divmod(value.seconds, 60)
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    return f"{sign}P{value.days}DT{minutes // 60}H{minutes % 60}M{seconds}{fraction}S"


def _decimal(value: decimal.Decimal, where: str) -> int | float | None:
    if not value.is_finite():
        return _number(float(value), where)
    if value.adjusted() < MAX_DIGITS and value == value.to_integral_value():
        return int(value)
    number = float(value)
    if math.isinf(number) or decimal.Decimal(repr(number)) != value:
        hint = "send str(...) for all digits, or float(...) for the nearest number"
        raise NotWritable(where, f"Decimal {value} has more digits than a JSON number keeps", hint)
    return number


def _from_numpy(value: Any, where: str) -> Any:
    np = sys.modules.get("numpy")
    if np is None or not isinstance(value, (np.generic, np.ndarray)):
        return _UNKNOWN
    dtype = value.dtype
    if dtype.names is not None:
        if value.ndim == 0:
            return {name: _to_plain(value[name], f"{where}.{name}") for name in dtype.names}
        return [_to_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, np.ma.MaskedArray):
        return _to_plain(value.tolist(), where)
    if dtype.kind == "c":
        raise NotWritable(where, "complex numbers have no form in JSON", "send the real and the imaginary part")
    if dtype.kind in "mM":
        return _times(np, value)
    if dtype.kind == "f" and dtype.itemsize > 8:
        return _long_doubles(np, value, where)
    if dtype.kind in "iubU" or (dtype.kind == "f" and np.isfinite(value).all()):
        return value.tolist()
    if isinstance(value, np.generic):
        return _to_plain(value.item(), where)
    return _to_plain(value.tolist(), where)


def _times(np: Any, value: Any) -> Any:
    """Dates and times in ISO 8601, durations too, NaT as None; nested as `value` is."""
    if value.ndim:
        return [_times(np, item) for item in value]
    value = value[()]
    if np.isnat(value):
        return None
    if value.dtype.kind == "M":
        return str(np.datetime_as_string(value))
    count = int(value.astype("timedelta64[ns]").astype("int64"))
    seconds, nanoseconds = divmod(abs(count), 10**9)
    text = duration_text(datetime.timedelta(seconds=seconds)).removesuffix("S")
    fraction = f".{nanoseconds:09}".rstrip("0") if nanoseconds else ""
    return f"{'-' if count < 0 else ''}{text}{fraction}S"


def _long_doubles(np: Any, value: Any, where: str) -> Any:
    doubles = value.astype("float64")
    if not np.array_equal(doubles.astype(value.dtype), value, equal_nan=True):
        text = f"a {value.dtype} has more digits than a JSON number keeps"
        raise NotWritable(where, text, 'send it as .astype("float64") for the nearest numbers')
    return _to_plain(doubles.tolist(), where)
