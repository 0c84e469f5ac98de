"""Results of `run()` as strict JSON.

orjson writes almost every result. What it would write in a form of its own, or refuse, takes a slow way, which knows
the place of a value that JSON cannot express.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import json
import math
import sys
from collections.abc import Iterable
from itertools import chain
from typing import Any

import orjson

# Levels of nested lists and objects. orjson takes deeper ones, but a script that recurses could not walk them.
MAX_DEPTH = 200


class NotJson(Exception):
    """The value at `where` (such as `[2].score`) cannot be sent."""

    def __init__(self, where: str, message: str, hint: str) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where
        self.text = message
        self.hint = hint


def encode(value: Any) -> bytes:
    """`value` as JSON: numpy and pandas values are encoded, NaN and infinity refused. Raises `NotJson`.

    In tables and columns of pandas, NaN is a missing value, and becomes null.
    """
    result = value
    try:
        if type(value) is list and (written := encode_plain(value)) is not None:
            return written
        value = _prepare(value)
        written = orjson.dumps(value, option=_OPTIONS)
        if _is_faithful(value, written):
            return written
    except (TypeError, ValueError, RecursionError):
        pass
    plain = to_plain(result, "", 0)
    try:
        return orjson.dumps(plain)
    except (TypeError, ValueError):
        pass  # an integer of more than 64 bits, which JSON allows
    try:
        return json.dumps(plain, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        text = f"the result cannot be written as JSON: {error}"
        raise NotJson("", text, "Return lists, dicts and numbers.") from error


def encode_plain(value: list[Any]) -> bytes | None:
    """A list of plain values, the usual result, as `encode` writes it. None for any other: `encode` must write it."""
    try:
        types = set(map(type, value))
        if types <= _PLAIN:
            written = orjson.dumps(value)
            if float not in types or b"null" not in written:
                return written
    except (TypeError, ValueError):  # an integer of more than 64 bits, a lone surrogate
        pass
    return None


def encode_rows(rows: Any, cuts: Iterable[tuple[int, int]]) -> list[bytes] | None:
    """The slices `cuts` of a list of plain values, or of an array of numbers, each as `encode` would write it.

    None for other values: `encode` must write each slice.
    """
    try:
        if type(rows) is list:
            types = set(map(type, rows))
            if not types <= _PLAIN:
                return None
            written = [orjson.dumps(rows[begin:end]) for begin, end in cuts]
            has_floats = float in types
        else:
            if type(rows).__module__ != "numpy":
                return None
            rows = _prepare(rows)
            if not _is_plain_array(rows) or not rows.flags.c_contiguous:
                return None
            written = [orjson.dumps(rows[begin:end], option=_OPTIONS) for begin, end in cuts]
            has_floats = rows.dtype.kind == "f"
    except TypeError:  # integers of more than 64 bits, doubles of another byte order
        return None
    return None if has_floats and any(b"null" in part for part in written) else written


# Values for which orjson has a form of its own make it raise, and so take the slow way.
_OPTIONS = (
    orjson.OPT_SERIALIZE_NUMPY
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)

_PLAIN = {int, float, str, bool, type(None)}

_LISTS = {list, tuple}

_CONTAINERS = {list, tuple, dict}

_PLAIN_DTYPES = "bBhHiIlLqQd?"  # numpy's integers, doubles and booleans


def _prepare(value: Any) -> Any:
    """A data frame as records, a series as a list, an array of short floats as doubles; other values as they are."""
    package = type(value).__module__
    if package == "numpy" and getattr(value, "dtype", None) is not None and value.ndim:
        return value.astype("float64") if value.dtype.char in "ef" else value
    if package.partition(".")[0] == "pandas":
        pd = sys.modules["pandas"]
        if isinstance(value, pd.DataFrame) and value.columns.is_unique:
            return _records(value)
        if isinstance(value, pd.Series):
            return value.tolist()
    return value


def _records(frame: Any) -> list[dict[Any, Any]]:
    """The rows of a data frame as dicts: as `to_dict("records")`, and several times faster."""
    names = frame.columns.tolist()
    dtypes = set(frame.dtypes)
    if len(dtypes) == 1 and getattr(next(iter(dtypes)), "char", "O") in _PLAIN_DTYPES:
        rows: Any = frame.to_numpy().tolist()
    else:
        rows = zip(*(column.tolist() for _, column in frame.items()), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _is_faithful(value: Any, written: bytes) -> bool:
    """Whether `written`, by orjson, is what `to_plain` would lead to.

    orjson writes NaN as null, and some types, such as UUID, in a form of its own. So `value` is searched level by level
    for other types, for floats and for None. If it has floats, each "null" in `written` must come from a None.
    Example: both `[1.5, None]` and `[1.5, nan]` are written as `[1.5,null]`. The first has a None for the null; the
    second has not, so it is not faithful, and `to_plain` refuses the NaN. `[1.5, "null"]` takes the slow way in vain.

    The search ends, because orjson refuses a value that contains itself.
    """
    if _is_plain_array(value):
        return value.dtype.kind != "f" or b"null" not in written
    nones, level = 0, [value]
    has_floats = False
    while level:
        types = set(map(type, level))
        if unusual := types - _CONTAINERS - _PLAIN:
            arrays = [item for item in level if type(item) in unusual]
            if not all(map(_is_plain_array, arrays)):
                return False
            has_floats = has_floats or any(array.dtype.kind == "f" for array in arrays)
        has_floats = has_floats or float in types
        if type(None) in types:
            nones += sum(1 for item in level if item is None)
        level = _items_below(level, types)
    return not has_floats or b"null" not in written or written.count(b"null") == nones


def _items_below(level: list[Any], types: set[type]) -> list[Any]:
    """The items of the lists, tuples and dicts in `level`. `types` are those of its items."""
    if types <= _LISTS:
        return list(chain.from_iterable(level))
    below: list[Any] = []
    for item in level if types & _CONTAINERS else ():
        if type(item) is dict:
            below.extend(item.values())
        elif type(item) in _LISTS:
            below.extend(item)
    return below


def _is_plain_array(item: Any) -> bool:
    """Whether `item` is an array that orjson writes as it writes `item.tolist()`."""
    return type(item).__module__ == "numpy" and type(item).__name__ == "ndarray" and item.dtype.char in _PLAIN_DTYPES


def to_plain(value: Any, where: str, depth: int) -> Any:
    """`value` as plain Python values. Raises `NotJson` with the place of one without a form in JSON."""
    if depth > MAX_DEPTH:
        raise NotJson(
            where[:80], "the result is nested too deeply, or contains itself", "Return plain lists and dicts."
        )
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        return to_plain(value.value, where, depth + 1)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _check_finite(float(value), where)
    if isinstance(value, dict):
        return _dict_to_plain(value, where, depth)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    for module, convert in (("numpy", _numpy_to_plain), ("pandas", _pandas_to_plain)):
        if module in sys.modules:
            found, converted = convert(sys.modules[module], value, where, depth)
            if found:
                return converted
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _dict_to_plain(fields, where, depth)
    if callable(getattr(value, "model_dump", None)) and not isinstance(value, type):  # pydantic
        return to_plain(value.model_dump(mode="json", by_alias=True), where, depth + 1)
    raise NotJson(where, f"a value of type {_type_name(type(value))} has no form in JSON", _hint_for(value))


def _dict_to_plain(value: dict[Any, Any], where: str, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = _plain_key(key, where)
        if name in found:
            raise NotJson(where, f"two keys are {name!r} in JSON", "Rename one of them.")
        found[name] = to_plain(item, _place_below(where, name), depth + 1)
    return found


def _numpy_to_plain(np: Any, value: Any, where: str, depth: int) -> tuple[bool, Any]:
    """Whether `value` is numpy's, and then its plain value."""
    if isinstance(value, np.datetime64):
        return True, None if np.isnat(value) else str(np.datetime_as_string(value))
    if isinstance(value, np.generic) and value.dtype.kind == "f":
        return True, _check_finite(float(value), where)  # `item()` of a longdouble is a longdouble
    if isinstance(value, np.generic) and value.dtype.kind in "biuU":
        return True, to_plain(value.item(), where, depth + 1)
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f":
            with np.errstate(over="ignore"):
                value = value.astype("float64")  # a longdouble may be infinity then
            if np.isfinite(value).all():
                return True, value.tolist()
        if value.dtype.kind in "iubU":
            return True, value.tolist()
        if value.ndim == 0:
            return True, to_plain(value[()], where, depth + 1)
        if value.dtype.names:
            names = value.dtype.names
            rows = [{name: row[name] for name in names} for row in value]
            return True, to_plain(rows, where, depth + 1)
        return True, [to_plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    return False, None


def _pandas_to_plain(pd: Any, value: Any, where: str, depth: int) -> tuple[bool, Any]:
    """Whether `value` is pandas', and then its plain value."""
    if value is pd.NaT or value is getattr(pd, "NA", None):
        return True, None
    if isinstance(value, pd.DataFrame):
        return True, to_plain(_frame_to_rows(value, where), where, depth + 1)
    if isinstance(value, (pd.Series, pd.Index)):
        return True, to_plain(_present(value), where, depth + 1)
    if isinstance(value, pd.Timedelta):
        return True, value.isoformat()
    if type(value).__module__.startswith("pandas") and hasattr(value, "tolist"):  # extension arrays
        return True, to_plain(_present(value), where, depth + 1)
    return False, None


def _frame_to_rows(frame: Any, where: str) -> list[dict[str, Any]]:
    """The rows of a data frame as dicts, with None for missing values, and labels of columns as text."""
    names = [str(label) for label in frame.columns.tolist()]
    for position, name in enumerate(names):
        if name in names[:position]:
            raise NotJson(where, f"the data frame has two columns named {name!r}", "Rename one of them.")
    columns = [_present(frame.iloc[:, position]) for position in range(len(names))]
    rows = zip(*columns, strict=True) if columns else [()] * len(frame)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _present(column: Any) -> list[Any]:
    """The values of a column, an index or an extension array, with None for NaN, NaT and NA."""
    if not hasattr(column, "isna"):
        return column.tolist()  # type: ignore[no-any-return]
    pairs = zip(column.tolist(), column.isna().tolist(), strict=True)
    return [None if missing else item for item, missing in pairs]


def _check_finite(value: float, where: str) -> float:
    if not math.isfinite(value):
        word = "NaN" if math.isnan(value) else "infinity"
        raise NotJson(where, f"the result contains {word}, which JSON does not have", "Replace it, or return None.")
    return value


def _plain_key(key: Any, where: str) -> str:
    if isinstance(key, enum.Enum):
        key = key.value
    if isinstance(key, str):
        return str(key)
    if isinstance(key, bool) or key is None:
        return {True: "true", False: "false", None: "null"}[key]
    if isinstance(key, (int, float)) or type(key).__module__ == "numpy" or hasattr(key, "isoformat"):
        return str(key)
    raise NotJson(where, f"a key of type {_type_name(type(key))} has no form in JSON", "Use strings as keys.")


def _place_below(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def _type_name(kind: type) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _hint_for(value: Any) -> str:
    if hasattr(value, "__next__"):
        return "Return list(...) instead."
    return "Return lists, dicts, strings and numbers."
