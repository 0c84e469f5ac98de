"""What `run()` returned as strict JSON."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from itertools import chain
from typing import Any

import orjson


class NotJson(Exception):
    """The value at `where` (such as `[2].score`) has no form in JSON."""

    def __init__(self, where: str, message: str, hint: str) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where
        self.text = message
        self.hint = hint


def encode(value: Any) -> bytes:
    """Strict JSON: numpy and pandas values are encoded, NaN and infinity are refused. Raises `NotJson`."""
    try:
        if type(value) is list and (kinds := set(map(type, value))) <= _PLAIN:  # the usual answer
            quick = orjson.dumps(value)
            if float not in kinds or b"null" not in quick:
                return quick
        value = _shaped(value)
        quick = orjson.dumps(value, option=_OPTIONS)
        if _says_all(value, quick):
            return quick
    except (TypeError, ValueError, RecursionError):
        pass
    # Slow, but it knows the place: only for values that need a change, or are refused.
    simple = _simple(value, "", 0)
    try:
        return orjson.dumps(simple)
    except (TypeError, ValueError):
        pass  # a whole number of more than 64 bits, which JSON allows
    try:
        return json.dumps(simple, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise NotJson(
            "", f"the result cannot be written as JSON: {error}", "Return lists, dicts and numbers."
        ) from error


def encode_rows(rows: Any, cuts: Iterable[tuple[int, int]]) -> list[bytes] | None:
    """Parts of a list of plain values, or of an array of numbers, as `encode` would write each; None: it must."""
    try:
        if type(rows) is list:
            kinds = set(map(type, rows))
            if not kinds <= _PLAIN:
                return None
            written = [orjson.dumps(rows[begin:end]) for begin, end in cuts]
            floats = float in kinds
        else:
            if type(rows).__module__ != "numpy":  # a frame: its parts are shaped one by one
                return None
            rows = _shaped(rows)
            if not _is_own(rows) or not rows.flags.c_contiguous:
                return None
            written = [orjson.dumps(rows[begin:end], option=_OPTIONS) for begin, end in cuts]
            floats = rows.dtype.kind == "f"
    except TypeError:  # whole numbers of more than 64 bits, doubles of another byte order
        return None
    return None if floats and any(b"null" in part for part in written) else written


# Whatever orjson would write in a form of its own goes the slow way.
_OPTIONS = (
    orjson.OPT_SERIALIZE_NUMPY
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)

_PLAIN = {int, float, str, bool, type(None)}

_LISTS = {list, tuple}


def _shaped(value: Any) -> Any:
    """A data frame as its rows, an array of short floats as one of long ones; other values as they are."""
    kind = type(value).__module__
    if kind == "numpy" and getattr(value, "dtype", None) is not None and value.ndim:
        return value.astype("float64") if value.dtype.char in "ef" else value
    if kind.partition(".")[0] == "pandas":
        pd = sys.modules["pandas"]
        if isinstance(value, pd.DataFrame) and value.columns.is_unique:
            names = value.columns.tolist()
            kinds = set(value.dtypes)
            if len(kinds) == 1 and getattr(next(iter(kinds)), "char", "O") in _CHARS:
                rows: Any = value.to_numpy().tolist()
            else:
                rows = zip(*(column.tolist() for _, column in value.items()), strict=True)
            return [dict(zip(names, row, strict=True)) for row in rows]
        if isinstance(value, pd.Series):
            return value.tolist()
    return value


def _says_all(value: Any, written: bytes) -> bool:
    """Whether orjson wrote what `_simple` would: it hides NaN as null, and has forms for some types of its own.

    It ends: what orjson has written does not contain itself.
    """
    if _is_own(value):
        return value.dtype.kind != "f" or b"null" not in written
    nulls, level = 0, [value]
    floats = False
    while level:
        kinds = set(map(type, level))
        scalars = kinds - _CONTAINERS
        if not scalars <= _PLAIN:
            for item in level:
                if type(item) not in _PLAIN and type(item) not in _CONTAINERS:
                    if not _is_own(item):
                        return False
                    floats = floats or item.dtype.kind == "f"
        floats = floats or float in kinds
        if type(None) in kinds:
            nulls += sum(1 for item in level if item is None)
        if kinds <= _LISTS:
            level = list(chain.from_iterable(level))
            continue
        below: list[Any] = []
        for item in level if kinds & _CONTAINERS else ():
            if type(item) is dict:
                below.extend(item.values())
            elif type(item) in _LISTS:
                below.extend(item)
        level = below
    return not floats or b"null" not in written or written.count(b"null") == nulls


_CONTAINERS = {list, tuple, dict}

_CHARS = "bBhHiIlLqQd?"  # numpy's whole numbers, doubles and booleans


def _is_own(item: Any) -> bool:
    """Whether it is an array that orjson writes as numpy's own `tolist` does."""
    return type(item).__module__ == "numpy" and type(item).__name__ == "ndarray" and item.dtype.char in _CHARS


def _simple(value: Any, where: str, depth: int) -> Any:
    if depth > 200:
        raise NotJson(
            where[:80], "the result is nested too deeply, or contains itself", "Return plain lists and dicts."
        )
    if value is None or isinstance(value, (str, bool)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _finite(float(value), where)
    if isinstance(value, dict):
        return {_key(key, where): _simple(item, _below(where, key), depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_simple(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    for module, convert in (("numpy", _numpy), ("pandas", _pandas)):
        if module in sys.modules:
            found, converted = convert(sys.modules[module], value, where, depth)
            if found:
                return converted
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise NotJson(where, f"a value of type {_name(type(value))} has no form in JSON", _hint(value))


def _numpy(np: Any, value: Any, where: str, depth: int) -> tuple[bool, Any]:
    if isinstance(value, np.datetime64):
        return True, None if np.isnat(value) else str(np.datetime_as_string(value))
    if isinstance(value, np.generic) and value.dtype.kind in "biufU":
        return True, _simple(value.item(), where, depth + 1)
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and np.isfinite(value).all():
            return True, value.astype("float64").tolist()
        if value.dtype.kind in "iubU":
            return True, value.tolist()
        if value.ndim == 0:
            return True, _simple(value[()], where, depth + 1)
        if value.dtype.names:
            names = value.dtype.names
            rows = [{name: row[name] for name in names} for row in value]
            return True, _simple(rows, where, depth + 1)
        return True, [_simple(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    return False, None


def _pandas(pd: Any, value: Any, where: str, depth: int) -> tuple[bool, Any]:
    if value is pd.NaT or value is getattr(pd, "NA", None):
        return True, None
    if isinstance(value, pd.DataFrame):
        return True, _simple(value.to_dict(orient="records"), where, depth + 1)
    if isinstance(value, (pd.Series, pd.Index)):
        return True, _simple(value.tolist(), where, depth + 1)
    if isinstance(value, pd.Timedelta):
        return True, value.isoformat()
    if type(value).__module__.startswith("pandas") and hasattr(value, "tolist"):  # extension arrays
        return True, _simple(value.tolist(), where, depth + 1)
    return False, None


def _finite(value: float, where: str) -> float:
    if not math.isfinite(value):
        word = "NaN" if math.isnan(value) else "infinity"
        raise NotJson(where, f"the result contains {word}, which JSON does not have", "Replace it, or return None.")
    return value


def _key(key: Any, where: str) -> str:
    if isinstance(key, str):
        return str(key)
    if isinstance(key, bool) or key is None:
        return {True: "true", False: "false", None: "null"}[key]
    if isinstance(key, (int, float)) or type(key).__module__ == "numpy" or hasattr(key, "isoformat"):
        return str(key)
    raise NotJson(where, f"a key of type {_name(type(key))} has no form in JSON", "Use strings as keys.")


def _below(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def _name(kind: type) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _hint(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        return "Return AMLResponse(data, 200) to send bytes as they are."
    if isinstance(value, (set, frozenset)) or hasattr(value, "__next__"):
        return "Return list(...) instead."
    return "Return lists, dicts, strings and numbers."
