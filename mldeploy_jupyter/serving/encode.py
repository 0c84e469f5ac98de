"""What `run()` returned as strict JSON."""

from __future__ import annotations

import json
import math
import sys
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
        if _is_plain(value):
            return orjson.dumps(value)
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


def _is_plain(value: Any) -> bool:
    """Whether orjson writes it as it is, without hiding a NaN as null."""
    kind = type(value)
    if kind is float:
        return math.isfinite(value)
    if kind in (int, str, bool) or value is None:
        return True
    if kind is list or kind is tuple:
        return all(map(_is_plain, value))
    if kind is dict:
        return all(type(key) is str for key in value) and all(map(_is_plain, value.values()))
    return False


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
