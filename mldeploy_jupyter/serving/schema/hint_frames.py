"""Hints of pandas: `pd.DataFrame` and `pd.Series`.

Without a sample the data decides the columns and their types. A data frame comes as a list of objects (records), or as
`{"columns", "data", "index"?}` (split).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from .base import HintNode, ValidationError, json_type
from .number_arrays import to_array
from .scalars import to_float

_RECORDS_SCHEMA = {"type": "array", "items": {"type": "object"}}
_SPLIT_SCHEMA = {
    "type": "object",
    "properties": {
        "columns": {"type": "array", "items": {"type": "string"}},
        "index": {"type": ["array", "null"], "items": {}},
        "data": {"type": "array", "items": {"type": "array", "items": {}}},
    },
    "required": ["columns", "data"],
    "additionalProperties": False,
}
_FRAME_SCHEMA = {"anyOf": [_RECORDS_SCHEMA, _SPLIT_SCHEMA], "x-format": "pandas.DataFrame"}
_SERIES_SCHEMA = {"type": "array", "items": {}, "x-format": "pandas.Series"}


def frame_node(hint: Any, origin: Any, arguments: tuple[Any, ...]) -> HintNode | None:
    """The node of a pandas hint; None for another hint."""
    pd = sys.modules.get("pandas")
    if pd is None:
        return None
    if hint is pd.DataFrame:
        return HintNode(
            _parse_frame, _FRAME_SCHEMA, has_rows=True, accepts_result=lambda value: isinstance(value, pd.DataFrame)
        )
    if hint is pd.Series or origin is pd.Series:
        return HintNode(
            _parse_series, _SERIES_SCHEMA, has_rows=True, accepts_result=lambda value: isinstance(value, pd.Series)
        )
    return None


def _parse_frame(value: Any, where: str) -> Any:
    import pandas as pd

    index = None
    if type(value) is dict:
        index, names, rows, place = _read_split(value, where)
    else:
        names, rows, place = _read_records(value, where)
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in names]
    found = [
        _infer_column(list(cells), lambda row, name=name: place(row, name))  # type: ignore[misc]
        for name, cells in zip(names, columns, strict=True)
    ]
    frame = pd.DataFrame(dict(enumerate(found)), index=None if found else range(len(rows)))
    if index is not None:
        frame.index = pd.Index(index)
    frame.columns = pd.Index(names, dtype=None if names else object)
    return frame


def _parse_series(value: Any, where: str) -> Any:
    import pandas as pd

    if type(value) is not list:
        raise ValidationError(where, f"expected a list, got {json_type(value)}")
    return pd.Series(_infer_column(value, lambda row: f"{where}[{row}]"))


_Place = Callable[[int, str], str]  # (row number, column name) -> the cell's place in the body


def _read_records(value: Any, where: str) -> tuple[list[str], list[Any], _Place]:
    """Column names, rows as lists, and the place of each cell."""
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


def _read_split(value: dict[str, Any], where: str) -> tuple[Any, list[str], list[Any], _Place]:
    """Row names or None, column names, rows as lists, and the place of each cell."""
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
        types = set(map(type, index)) if type(index) is list else {None}
        if types - {str, int, float} or len(index) != len(rows):
            raise ValidationError(f"{where}.index", f"expected a list of {len(rows)} row names")
    return index, names, rows, lambda row, name: f"{where}.data[{row}][{names.index(name)}]"


def _infer_column(cells: list[Any], place: Callable[[int], str]) -> Any:
    """A column of the type that pandas infers for such cells.

    Raises `ValidationError`, at `place(row)`, when that type would change one of them.
    """
    import numpy as np
    import pandas as pd

    types = set(map(type, cells))
    present = types - {type(None)}
    if present <= {int, float} and present:
        whole = types == {int}
        numbers = to_array(cells, np.dtype("int64" if whole else "float64"))
        if numbers is not None:
            return numbers
        if whole:
            return pd.Series(cells)
        return np.array([to_float(cell, place(row), "float64") for row, cell in enumerate(cells)])
    if types == {bool}:
        return np.array(cells)
    if len(present) > 1 and present <= {int, float, bool, str}:
        first = next(row for row, cell in enumerate(cells) if cell is not None)
        same = (int, float) if type(cells[first]) in (int, float) else (type(cells[first]),)
        row = next(row for row, cell in enumerate(cells) if cell is not None and type(cell) not in same)
        text = f"got {json_type(cells[row])}, where the column has {json_type(cells[first])} before"
        raise ValidationError(place(row), text, "Give the column a sample of dtype=object if it mixes types.")
    return pd.Series(cells, dtype=None if present <= {str} and present else object)
