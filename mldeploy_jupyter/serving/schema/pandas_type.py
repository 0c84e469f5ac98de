"""`PandasParameterType`: JSON in one of pandas' orients as a data frame like the sample."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .base import Misfit, OwnParameterType, kind_of, show
from .scalars import converter, to_str

ORIENTS = ("records", "split", "index", "columns", "values", "table")
Where = Callable[[int], str]


class PandasParameterType(OwnParameterType):
    """A data frame with the columns of `sample_input`, in their order and with their types.

    `enforce_shape` asks for exactly the sample's columns, by name (`values`: by count). `enforce_column_type`
    imposes their types and refuses what would lose something. `orient` is the form in JSON.
    `apply_column_names` is accepted for old scripts: names are always those of the sample.
    Raises `TypeError` when the sample is no data frame, `ValueError` for an unknown orient.
    """

    def __init__(
        self,
        sample_input: Any,
        enforce_column_type: bool = True,
        enforce_shape: bool = True,
        apply_column_names: bool = False,
        orient: str = "records",
    ) -> None:
        import pandas as pd

        if not isinstance(sample_input, pd.DataFrame):
            raise TypeError(f"the sample must be a pandas DataFrame, not {type(sample_input).__name__}")
        if orient not in ORIENTS:
            raise ValueError(f"orient must be one of {', '.join(ORIENTS)}, not {orient!r}")
        super().__init__(sample_input)
        self.enforce_column_type = enforce_column_type
        self.enforce_shape = enforce_shape
        self.orient = orient
        self._names = [str(name) for name in sample_input.columns]
        self._converters = [_column(sample_input.iloc[:, i]) for i in range(len(self._names))]

    def careful(self, value: Any, where: str) -> Any:
        import pandas as pd

        index, rows = _READERS[self.orient](self, value, where)
        names = self._names if self.enforce_shape else self._found(rows)
        positions = {name: position for position, name in enumerate(self._names)}
        columns: list[Any] = []
        for name in names:
            cells = [(row.get(name), at(name)) for row, at in rows]
            position = positions.get(name)
            if position is None or not self.enforce_column_type:
                columns.append(pd.Series([cell for cell, _ in cells], index=index))
                continue
            converted = [self._converters[position](cell, at) for cell, at in cells]
            dtype = self.sample_input.dtypes.iloc[position]
            columns.append(pd.Series(converted, index=index, dtype=dtype))
        frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=index)
        frame.columns = self.sample_input.columns if self.enforce_shape else pd.Index(names)
        return frame

    def dump(self) -> Any:
        return json.loads(self.sample_input.to_json(orient=self.orient, date_format="iso"))

    def schema(self) -> dict[str, Any]:
        cells = {name: _schema(self.sample_input.iloc[:, i]) for i, name in enumerate(self._names)}
        row = {"type": "object", "properties": cells, "required": list(cells)}
        count = {"minItems": len(cells), "maxItems": len(cells)}
        table = {"type": "array", "items": {"type": "array", "items": {}, **count}}
        body: dict[str, Any]
        if self.orient == "records":
            body = {"type": "array", "items": row}
        elif self.orient == "values":
            body = table
        elif self.orient == "split":
            names = {"type": "array", "items": {"type": "string"}}
            properties = {"columns": names, "index": {"type": "array", "items": {}}, "data": table}
            body = {"type": "object", "properties": properties, "required": ["columns", "data"]}
        elif self.orient == "index":
            body = {"type": "object", "additionalProperties": row}
        elif self.orient == "columns":
            columns = {name: {"type": "object", "additionalProperties": cell} for name, cell in cells.items()}
            body = {"type": "object", "properties": columns, "required": list(cells)}
        else:
            properties = {"schema": {"type": "object"}, "data": {"type": "array", "items": row}}
            body = {"type": "object", "properties": properties, "required": ["data"]}
        return {**body, "x-format": f"pandas.DataFrame:{self.orient}"}

    def only_integers(self) -> bool:
        return bool(self._names) and len(self.integer_columns()) == len(self._names)

    def integer_columns(self) -> list[str]:
        if not self.enforce_column_type:
            return []
        return [name for name, dtype in zip(self._names, self.sample_input.dtypes, strict=True) if dtype.kind in "iu"]

    def row_wise(self) -> bool:
        return True

    def check_names(self, names: list[str], where: str) -> None:
        """Refuses missing and unknown columns, naming both kinds at once."""
        if not self.enforce_shape:
            return
        missing = [name for name in self._names if name not in names]
        unknown = [name for name in names if name not in self._names]
        if missing or unknown:
            parts = [
                f"{word} {', '.join(map(repr, found))}"
                for word, found in (("no", missing), ("unknown", unknown))
                if found
            ]
            hint = f"The columns are: {', '.join(self._names)}."
            raise Misfit(where, f"wrong columns: {'; '.join(parts)}", hint)

    def _found(self, rows: list[Row]) -> list[str]:
        found = dict.fromkeys(name for row, _ in rows for name in row)
        return list(found) if found else self._names


Row = tuple[dict[str, Any], Callable[[str], str]]
Rows = tuple[Any, list[Row]]


def _records(kind: PandasParameterType, value: Any, where: str) -> Rows:
    if not isinstance(value, list):
        raise Misfit(where, f"expected a list of objects, one a row, got {kind_of(value)}", _other_orient(value))
    rows: list[Row] = []
    for index, row in enumerate(value):
        rows.append(_row(kind, row, f"{where}[{index}]"))
    return None, rows


def _row(kind: PandasParameterType, row: Any, where: str) -> Row:
    if not isinstance(row, dict):
        raise Misfit(where, f"expected an object with the columns, got {kind_of(row)}")
    kind.check_names(list(row), where)
    return row, lambda name: f"{where}.{name}"


def _values(kind: PandasParameterType, value: Any, where: str) -> Rows:
    return None, _lists(kind, value, kind._names, where)


def _lists(kind: PandasParameterType, value: Any, names: list[str], where: str) -> list[Row]:
    if not isinstance(value, list):
        raise Misfit(where, f"expected a list of rows, got {kind_of(value)}")
    rows: list[Row] = []
    for index, row in enumerate(value):
        at = f"{where}[{index}]"
        if not isinstance(row, list):
            raise Misfit(at, f"expected a list of {len(names)} values, got {kind_of(row)}")
        if len(row) != len(names):
            raise Misfit(at, f"expected {len(names)} values, got {len(row)}")
        places = {name: f"{at}[{column}]" for column, name in enumerate(names)}
        rows.append((dict(zip(names, row, strict=True)), places.__getitem__))
    return rows


def _split(kind: PandasParameterType, value: Any, where: str) -> Rows:
    _object(value, where, ("columns", "data"))
    names = value["columns"]
    if not isinstance(names, list) or len(set(map(str, names))) != len(names):
        raise Misfit(f"{where}.columns", "expected a list of different column names")
    names = [str(name) for name in names]
    kind.check_names(names, f"{where}.columns")
    rows = _lists(kind, value["data"], names, f"{where}.data")
    return _index(value.get("index"), len(rows), f"{where}.index"), rows


def _by_index(kind: PandasParameterType, value: Any, where: str) -> Rows:
    _object(value, where, ())
    return list(value), [_row(kind, row, f"{where}.{key}") for key, row in value.items()]


def _by_column(kind: PandasParameterType, value: Any, where: str) -> Rows:
    _object(value, where, ())
    kind.check_names(list(value), where)
    index: list[str] = []
    for number, (name, column) in enumerate(value.items()):
        at = f"{where}.{name}"
        if not isinstance(column, dict):
            raise Misfit(at, f"expected an object of values by row, got {kind_of(column)}")
        if number == 0:
            index = list(column)
        elif set(column) != set(index):
            raise Misfit(at, "this column does not have the same rows as the first one")
    rows: list[Row] = []
    for key in index:
        row = {name: column[key] for name, column in value.items()}
        rows.append((row, lambda name, key=key: f"{where}.{name}.{key}"))  # type: ignore[misc]
    return index, rows


def _table(kind: PandasParameterType, value: Any, where: str) -> Rows:
    _object(value, where, ("data",))
    if not isinstance(value["data"], list):
        raise Misfit(f"{where}.data", f"expected a list of objects, got {kind_of(value['data'])}")
    described = value.get("schema", {})
    keys = described.get("primaryKey", []) if isinstance(described, dict) else []
    keys = [key for key in (keys or ["index"]) if key not in kind._names]
    rows, index = [], []
    for number, row in enumerate(value["data"]):
        at = f"{where}.data[{number}]"
        if not isinstance(row, dict):
            raise Misfit(at, f"expected an object with the columns, got {kind_of(row)}")
        index.append(next((row[key] for key in keys if key in row), number))
        rows.append(_row(kind, {name: cell for name, cell in row.items() if name not in keys}, at))
    return index, rows


_READERS: dict[str, Callable[[PandasParameterType, Any, str], Rows]] = {
    "records": _records,
    "values": _values,
    "split": _split,
    "index": _by_index,
    "columns": _by_column,
    "table": _table,
}


def _object(value: Any, where: str, keys: tuple[str, ...]) -> None:
    if not isinstance(value, dict):
        raise Misfit(where, f"expected an object, got {kind_of(value)}", _other_orient(value))
    for key in keys:
        if key not in value:
            raise Misfit(where, f"{key!r} is missing", _other_orient(value))


def _other_orient(value: Any) -> str:
    if isinstance(value, dict) and {"columns", "data"} <= set(value):
        return "This looks like orient='split', which is not the sample's."
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "This looks like orient='records', which is not the sample's."
    return ""


def _index(value: Any, rows: int, where: str) -> Any:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != rows:
        raise Misfit(where, f"expected a list of {rows} row names")
    return value


# -- columns ----------------------------------------------------------------------------------------------


def _column(sample: Any) -> Callable[[Any, str], Any]:
    """How a JSON value becomes a cell of a column like `sample`. Raises `TypeError` for types without a form."""
    import pandas as pd

    dtype = sample.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        known = list(dtype.categories)
        return lambda value, where: _category(value, where, known)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return lambda value, where: _timestamp(value, where, dtype.tz)
    if dtype.kind == "M":
        return lambda value, where: _timestamp(value, where, None)
    if dtype.kind == "m":
        return _timedelta
    if pd.api.types.is_extension_array_dtype(dtype) and dtype.kind in "iufb":
        import numpy as np

        inner = converter(np.dtype(dtype.type))
        return lambda value, where: pd.NA if value is None else inner(value, where)
    if isinstance(dtype, pd.StringDtype) or (dtype.kind == "O" and _only_strings(sample)):
        return lambda value, where: None if value is None else to_str(value, where)
    if pd.api.types.is_extension_array_dtype(dtype):
        raise TypeError(f"a column of type {dtype} has no form in JSON")
    return converter(dtype)


def _only_strings(sample: Any) -> bool:
    values = [value for value in sample.tolist() if value is not None]
    return bool(values) and all(type(value) is str for value in values)


def _category(value: Any, where: str, known: list[Any]) -> Any:
    if value is not None and (isinstance(value, (list, dict)) or value not in known):
        raise Misfit(where, f"{show(value)} is not one of the sample's categories", f"They are: {show(known)}.")
    return value


def _timestamp(value: Any, where: str, zone: Any) -> Any:
    import pandas as pd

    if value is None:
        return pd.NaT
    text = to_str(value, where)
    try:
        stamp = pd.Timestamp(text)
    except (ValueError, OverflowError):
        raise Misfit(where, f"{show(value)} is not a date or time in ISO 8601") from None
    if zone is not None:
        return stamp.tz_localize(zone) if stamp.tzinfo is None else stamp.tz_convert(zone)
    return stamp if stamp.tzinfo is None else stamp.tz_convert("UTC").tz_localize(None)


def _timedelta(value: Any, where: str) -> Any:
    import pandas as pd

    if value is None:
        return pd.NaT
    try:
        return pd.Timedelta(to_str(value, where))
    except (ValueError, OverflowError):
        raise Misfit(where, f"{show(value)} is not a duration, such as P1DT2H") from None


def _schema(sample: Any) -> dict[str, Any]:
    import pandas as pd

    dtype = sample.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return {"enum": [*json.loads(pd.Series(dtype.categories).to_json(orient="values")), None]}
    nullable = pd.api.types.is_extension_array_dtype(dtype)
    if dtype.kind in "iu":
        return {"type": ["integer", "null"] if nullable else "integer", "format": "int64"}
    if dtype.kind == "f":
        return {"type": ["number", "null"], "format": "double"}
    if dtype.kind == "b":
        return {"type": ["boolean", "null"] if nullable else "boolean"}
    if dtype.kind == "M":
        return {"type": ["string", "null"], "format": "date-time"}
    if dtype.kind == "m":
        return {"type": ["string", "null"], "format": "duration"}
    return {"type": ["string", "null"]} if isinstance(dtype, pd.StringDtype) or _only_strings(sample) else {}
