"""Hints of numpy and pandas: `np.ndarray`, `NDArray[np.float32]`, `np.float32`, `pd.DataFrame`, `pd.Series`.

Without a sample the data says its shape. An array is of the hint's type, else of doubles where that loses nothing,
else of what numpy makes of numbers. A data frame comes as a list of objects, or as `{"columns", "data", "index"?}`.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable
from typing import Any

from .base import HintNode, UnknownHint, ValidationError, json_type
from .number_arrays import flatten, to_array
from .numpy_type import MAX_DIMENSIONS, check_dimensions, depth_of, filled, item_schema, shape_of, untyped, walk
from .scalars import converter, to_float, to_str


def array_node(hint: Any, origin: Any, arguments: tuple[Any, ...]) -> HintNode | None:
    """The node of such a hint; None for others. Raises `UnknownHint` for types that JSON has no form for."""
    np, pd = sys.modules.get("numpy"), sys.modules.get("pandas")
    try:
        if np is not None and np.ndarray in (hint, origin):
            return _array(np, _dtype(np, arguments))
        if np is not None and isinstance(hint, type) and issubclass(hint, np.generic):
            dtype = _concrete(np, hint)
            return None if dtype is None else _scalar(np, dtype)
    except TypeError as error:
        raise UnknownHint(f"{hint}: {error}") from error
    if pd is not None and hint is pd.DataFrame:
        return HintNode(
            _frame, _FRAME_SCHEMA, has_rows=True, accepts_result=lambda value: isinstance(value, pd.DataFrame)
        )
    if pd is not None and (hint is pd.Series or origin is pd.Series):
        schema = {"type": "array", "items": {}, "x-format": "pandas.Series"}
        return HintNode(_series, schema, has_rows=True, accepts_result=lambda value: isinstance(value, pd.Series))
    return None


def _dtype(np: Any, arguments: tuple[Any, ...]) -> Any:
    """The dtype in `np.ndarray[shape, np.dtype[scalar]]`, which is what NDArray[scalar] stands for."""
    inner = typing.get_args(arguments[1]) if len(arguments) > 1 else ()
    return _concrete(np, inner[0]) if inner and isinstance(inner[0], type) else None


def _concrete(np: Any, scalar: type) -> Any:
    """The dtype of a scalar type; None for a family of types such as np.floating."""
    if not issubclass(scalar, np.generic) or scalar.__subclasses__():
        return None
    if scalar is np.datetime64:
        return np.dtype("datetime64[us]")  # Python's own precision
    if scalar is np.timedelta64:
        raise TypeError("a duration needs a unit, which the hint has not")
    return np.dtype(scalar)


def _array(np: Any, dtype: Any) -> HintNode:
    if dtype is None:
        item: dict[str, Any] = {"type": ["number", "null"]}
        convert: Callable[[Any, str], Any] = _number
    else:
        item, convert = _item(dtype), _converter(dtype)

    def parse_bulk(value: Any, numbers: bool) -> Any:
        sizes = shape_of(value, depth_of(value))[1:]
        flat = flatten(value, sizes)
        if flat is None or len(sizes) >= MAX_DIMENSIONS or (dtype is not None and dtype.itemsize == 0):
            return None
        result = to_array(flat, dtype or np.dtype("float64"), numbers)
        return result if result is None or not sizes else result.reshape(-1, *sizes)

    def parse(value: Any, where: str) -> Any:
        shape = shape_of(value, depth_of(value))
        check_dimensions(shape, where)
        flat: list[Any] = []
        walk(value, where, tuple(shape), tuple(shape), convert, flat)
        if dtype is not None:
            if dtype.itemsize == 0:  # texts of any width
                return np.array(flat, dtype=dtype).reshape(shape)
            return filled(flat, shape, dtype)
        try:
            return filled([to_float(one, where, "float64") for one in flat], shape, np.dtype("float64"))
        except ValidationError:
            return untyped(flat, shape, where)

    def accepts_result(value: Any) -> bool:
        if not isinstance(value, np.ndarray):
            return False
        return value.dtype.kind in "iuf" if dtype is None else bool(np.can_cast(value.dtype, dtype))

    nested = {"type": "array", "items": {"anyOf": [item, {"type": "array"}]} if item else {}}
    return HintNode(
        parse,
        {**nested, "x-format": "numpy.ndarray"},
        has_rows=True,
        parse_bulk=parse_bulk,
        accepts_result=accepts_result,
    )


def _scalar(np: Any, dtype: Any) -> HintNode:
    convert = _converter(dtype)
    return HintNode(lambda value, where: np.array(convert(value, where), dtype=dtype)[()], _item(dtype))


def _converter(dtype: Any) -> Callable[[Any, str], Any]:
    if dtype.kind == "U":
        return lambda value, where: to_str(value, where, len(value) if type(value) is str else None)
    if dtype.kind in "SV":
        raise TypeError(f"a type of {dtype} has no form in JSON")
    return converter(dtype)


def _item(dtype: Any) -> dict[str, Any]:
    return {"type": "string"} if dtype.kind == "U" else item_schema(dtype)


def _number(value: Any, where: str) -> Any:
    if type(value) in (int, float):
        return value
    if value is None:
        return float("nan")
    raise ValidationError(where, f"expected a number, got {json_type(value)}")


# -- pandas -----------------------------------------------------------------------------------------------

_ROWS = {"type": "array", "items": {"type": "object"}}
_SPLIT = {
    "type": "object",
    "properties": {
        "columns": {"type": "array", "items": {"type": "string"}},
        "index": {"type": ["array", "null"], "items": {}},
        "data": {"type": "array", "items": {"type": "array", "items": {}}},
    },
    "required": ["columns", "data"],
    "additionalProperties": False,
}
_FRAME_SCHEMA = {"anyOf": [_ROWS, _SPLIT], "x-format": "pandas.DataFrame"}


def _frame(value: Any, where: str) -> Any:
    import pandas as pd

    index = None
    if type(value) is dict:
        index, names, rows, at = _split(value, where)
    else:
        names, rows, at = _records(value, where)
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in names]
    found = [
        column(list(cells), lambda row, name=name: at(row, name))  # type: ignore[misc]
        for name, cells in zip(names, columns, strict=True)
    ]
    frame = pd.DataFrame(dict(enumerate(found)), index=None if found else range(len(rows)))
    if index is not None:
        frame.index = pd.Index(index)
    frame.columns = pd.Index(names, dtype=None if names else object)
    return frame


At = Callable[[int, str], str]


def _records(value: Any, where: str) -> tuple[list[str], list[Any], At]:
    if type(value) is not list:
        hint = "Send a list of objects, or an object with columns and data."
        raise ValidationError(where, f"expected a list of objects, one a row, got {json_type(value)}", hint)
    names: list[str] = list(value[0]) if value and type(value[0]) is dict else []
    rows = []
    for number, row in enumerate(value):
        if type(row) is not dict:
            raise ValidationError(f"{where}[{number}]", f"expected an object with the columns, got {json_type(row)}")
        if row.keys() != set(names):
            wrong = [name for name in names if name not in row] or [name for name in row if name not in names]
            word = "no" if wrong[0] in names else "unknown"
            hint = f"The columns of the first row are: {', '.join(names)}."
            raise ValidationError(f"{where}[{number}]", f"wrong columns: {word} {wrong[0]!r}", hint)
        rows.append([row[name] for name in names])
    return names, rows, lambda row, name: f"{where}[{row}].{name}"


def _split(value: dict[str, Any], where: str) -> tuple[Any, list[str], list[Any], At]:
    if not {"columns", "data"} <= value.keys() <= {"columns", "data", "index"}:
        hint = "Send a list of objects, or an object with columns and data."
        raise ValidationError(where, "expected columns and data", hint)
    names, rows, index = value["columns"], value["data"], value.get("index")
    if type(names) is not list or set(map(type, names)) - {str} or len(set(names)) != len(names):
        raise ValidationError(f"{where}.columns", "expected a list of different column names")
    if type(rows) is not list:
        raise ValidationError(f"{where}.data", f"expected a list of rows, got {json_type(rows)}")
    for number, row in enumerate(rows):
        if type(row) is not list or len(row) != len(names):
            raise ValidationError(f"{where}.data[{number}]", f"expected a list of {len(names)} values")
    if index is not None:
        kinds = set(map(type, index)) if type(index) is list else {None}
        if kinds - {str, int, float} or len(index) != len(rows):
            raise ValidationError(f"{where}.index", f"expected a list of {len(rows)} row names")
    return index, names, rows, lambda row, name: f"{where}.data[{row}][{names.index(name)}]"


def _series(value: Any, where: str) -> Any:
    import pandas as pd

    if type(value) is not list:
        raise ValidationError(where, f"expected a list, got {json_type(value)}")
    return pd.Series(column(value, lambda row: f"{where}[{row}]"))


def column(cells: list[Any], at: Callable[[int], str]) -> Any:
    """A column of the type that pandas gives such values, when that changes none of them."""
    import numpy as np
    import pandas as pd

    kinds = set(map(type, cells))
    plain = kinds - {type(None)}
    if plain <= {int, float} and plain:
        whole = kinds == {int}
        found = to_array(cells, np.dtype("int64" if whole else "float64"))
        if found is not None:
            return found
        if whole:
            return pd.Series(cells)
        return np.array([to_float(cell, at(row), "float64") for row, cell in enumerate(cells)])
    if kinds == {bool}:
        return np.array(cells)
    if len(plain) > 1 and plain <= {int, float, bool, str}:
        first = next(row for row, cell in enumerate(cells) if cell is not None)
        same = (int, float) if type(cells[first]) in (int, float) else (type(cells[first]), type(cells[first]))
        row = next(row for row, cell in enumerate(cells) if cell is not None and type(cell) not in same)
        text = f"got {json_type(cells[row])}, where the column has {json_type(cells[first])} before"
        raise ValidationError(at(row), text, "Give the column a sample of dtype=object if it mixes types.")
    return pd.Series(cells, dtype=None if plain <= {str} and plain else object)
