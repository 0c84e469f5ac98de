"""pandas' orients: the forms of a table in JSON, read in bulk as columns, or row by row with the place of each cell."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, Protocol

from .base import ValidationError, json_type

_ROW_NAME_TYPES = {str, int, float}
ORIENTS = ("records", "split", "index", "columns", "values", "table")


class Columns(Protocol):
    """The expected columns. `lax`: a row may lack some of them, and records may come by columns."""

    @property
    def names(self) -> list[str]: ...

    @property
    def lax(self) -> bool: ...

    def check_names(self, names: list[str], where: str) -> None:
        """Raises `ValidationError` when columns are missing or unknown."""


class AnyColumns:
    """As many columns as are expected, of any names."""

    lax = True

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def check_names(self, names: list[str], where: str) -> None:
        """Raises nothing: all names are accepted."""


def bulk_columns(orient: str, value: Any, names: list[str]) -> tuple[Any, list[list[Any]]] | None:
    """The row names (None: plain numbers) and the cells of each column, in the order of `names`.

    None when anything is unusual: the readers below then find the place.
    """
    if orient == "columns":
        return _bulk_by_column(value, names)
    index: Any = None
    rows: Any = value
    row_type: type = list
    if orient == "records":
        row_type = dict
    elif orient == "index" and type(value) is dict:
        index, rows, row_type = list(value), list(value.values()), dict
    elif orient == "split" and _is_plain_split(value, names):
        index, rows = value.get("index"), value.get("data")
    elif orient != "values":
        return None
    if type(rows) is not list or not rows or not names:
        return None
    if set(map(type, rows)) != {row_type} or set(map(len, rows)) != {len(names)}:
        return None
    if row_type is list:
        return index, [list(cells) for cells in zip(*rows, strict=True)]
    try:
        return index, [list(map(itemgetter(name), rows)) for name in names]
    except KeyError:
        return None


def _is_plain_split(value: Any, names: list[str]) -> bool:
    """Whether `value` has the expected columns, and as many row names as rows if it has any."""
    if type(value) is not dict or not value.keys() <= {"columns", "index", "data"} or value.get("columns") != names:
        return False
    index, rows = value.get("index"), value.get("data")
    if index is None:
        return True
    if type(index) is not list or type(rows) is not list:
        return False
    return len(index) == len(rows) and set(map(type, index)) <= _ROW_NAME_TYPES


def _bulk_by_column(value: Any, names: list[str]) -> tuple[Any, list[list[Any]]] | None:
    if not names or type(value) is not dict or value.keys() != set(names) or set(map(type, value.values())) != {dict}:
        return None
    index = list(value[next(iter(value))])
    if not index or any(list(column) != index for column in value.values()):
        return None
    return index, [list(value[name].values()) for name in names]


Row = tuple[dict[str, Any], Callable[[str], str]]  # cells by column, and the place of a column's cell
Rows = tuple[Any, list[Row]]  # the row names (None: plain numbers), and the rows


def _read_records(expected: Columns, value: Any, where: str) -> Rows:
    if expected.lax and isinstance(value, dict) and value and not _other_orient(value):
        return _read_by_column(expected, value, where)
    if not isinstance(value, list):
        raise ValidationError(
            where, f"expected a list of objects, one a row, got {json_type(value)}", _other_orient(value)
        )
    rows: list[Row] = []
    for index, row in enumerate(value):
        at = f"{where}[{index}]"
        if isinstance(row, list):  # cells by position, which v1 took, too
            rows += _read_lists(expected, [row], expected.names, at, row_is_place=True)
        else:
            rows.append(_read_row(expected, row, at))
    _check_all_rows(expected, rows, f"{where}[0]")
    return None, rows


def _read_row(expected: Columns, row: Any, where: str) -> Row:
    if not isinstance(row, dict):
        raise ValidationError(where, f"expected an object with the columns, got {json_type(row)}")
    if not expected.lax or not row.keys() <= set(expected.names):
        expected.check_names(list(row), where)
    return row, lambda name: f"{where}.{name}"


def _check_all_rows(expected: Columns, rows: list[Row], first: str) -> None:
    """Refuses rows none of which has one of the columns. `first` is the place of the first row."""
    if rows and expected.lax:
        expected.check_names(list(dict.fromkeys(name for row, _ in rows for name in row)), first)


def _read_values(expected: Columns, value: Any, where: str) -> Rows:
    return None, _read_lists(expected, value, expected.names, where)


def _read_lists(expected: Columns, value: Any, names: list[str], where: str, row_is_place: bool = False) -> list[Row]:
    if not isinstance(value, list):
        raise ValidationError(where, f"expected a list of rows, got {json_type(value)}")
    rows: list[Row] = []
    for index, row in enumerate(value):
        at = where if row_is_place else f"{where}[{index}]"
        if not isinstance(row, list):
            raise ValidationError(at, f"expected a list of {len(names)} values, got {json_type(row)}")
        if len(row) != len(names):
            raise ValidationError(at, f"expected {len(names)} values, got {len(row)}")
        places = {name: f"{at}[{column}]" for column, name in enumerate(names)}
        rows.append((dict(zip(names, row, strict=True)), places.__getitem__))
    return rows


def _read_split(expected: Columns, value: Any, where: str) -> Rows:
    _check_object(value, where, ("columns", "data"))
    names = value["columns"]
    if not isinstance(names, list) or len(set(map(str, names))) != len(names):
        raise ValidationError(f"{where}.columns", "expected a list of different column names")
    names = [str(name) for name in names]
    expected.check_names(names, f"{where}.columns")
    rows = _read_lists(expected, value["data"], names, f"{where}.data")
    return _check_index(value.get("index"), len(rows), f"{where}.index"), rows


def _read_by_index(expected: Columns, value: Any, where: str) -> Rows:
    _check_object(value, where, ())
    rows = [_read_row(expected, row, f"{where}.{key}") for key, row in value.items()]
    _check_all_rows(expected, rows, f"{where}.{next(iter(value), '')}")
    return list(value), rows


def _read_by_column(expected: Columns, value: Any, where: str) -> Rows:
    _check_object(value, where, ())
    expected.check_names(list(value), where)
    if expected.lax and value and all(isinstance(column, list) for column in value.values()):
        return None, _read_column_lists(value, where)
    index: dict[str, None] = {}
    for number, (name, column) in enumerate(value.items()):
        at = f"{where}.{name}"
        if not isinstance(column, dict):
            raise ValidationError(at, f"expected an object of values by row, got {json_type(column)}")
        if number and not expected.lax and set(column) != set(index):
            raise ValidationError(at, "this column does not have the same rows as the first one")
        index |= dict.fromkeys(column)
    rows: list[Row] = []
    for key in index:
        row = {name: column.get(key) for name, column in value.items()}
        rows.append((row, lambda name, key=key: f"{where}.{name}.{key}"))  # type: ignore[misc]
    return list(index), rows


def _read_column_lists(value: dict[str, list[Any]], where: str) -> list[Row]:
    lengths = {name: len(column) for name, column in value.items()}
    count = next(iter(lengths.values()))
    for name, length in lengths.items():
        if length != count:
            raise ValidationError(f"{where}.{name}", f"expected {count} values, as in the first column, got {length}")
    rows: list[Row] = []
    for number, cells in enumerate(zip(*value.values(), strict=True)):
        row = dict(zip(value, cells, strict=True))
        rows.append((row, lambda name, number=number: f"{where}.{name}[{number}]"))  # type: ignore[misc]
    return rows


def _read_table(expected: Columns, value: Any, where: str) -> Rows:
    _check_object(value, where, ("data",))
    if not isinstance(value["data"], list):
        raise ValidationError(f"{where}.data", f"expected a list of objects, got {json_type(value['data'])}")
    # pandas writes the index as columns, named by the schema's primaryKey.
    described = value.get("schema", {})
    keys = described.get("primaryKey") if isinstance(described, dict) else None
    keys = keys if isinstance(keys, list) else [keys] if keys else []
    keys = [key for key in (keys or ["index"]) if type(key) is str and key not in expected.names]
    rows, index = [], []
    for number, row in enumerate(value["data"]):
        at = f"{where}.data[{number}]"
        if not isinstance(row, dict):
            raise ValidationError(at, f"expected an object with the columns, got {json_type(row)}")
        index.append(next((row[key] for key in keys if key in row), number))
        rows.append(_read_row(expected, {name: cell for name, cell in row.items() if name not in keys}, at))
    _check_all_rows(expected, rows, f"{where}.data[0]")
    return _check_index(index, len(rows), f"{where}.data.{keys[0] if keys else 'index'}"), rows


# Raise `ValidationError` with the place of what does not fit.
READERS: dict[str, Callable[[Columns, Any, str], Rows]] = {
    "records": _read_records,
    "values": _read_values,
    "split": _read_split,
    "index": _read_by_index,
    "columns": _read_by_column,
    "table": _read_table,
}


def orient_schema(orient: str, cells: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of a table with the columns `cells` (name to the schema of a cell)."""
    row = {"type": "object", "properties": cells, "required": list(cells)}
    lists = {"type": "array", "items": {}, "minItems": len(cells), "maxItems": len(cells)}
    table = {"type": "array", "items": lists}
    if orient == "records":
        return {"type": "array", "items": row}
    if orient == "values":
        return table
    if orient == "split":
        names = {"type": "array", "items": {"type": "string"}}
        properties = {"columns": names, "index": {"type": "array", "items": {}}, "data": table}
        return {"type": "object", "properties": properties, "required": ["columns", "data"]}
    if orient == "index":
        return {"type": "object", "additionalProperties": row}
    if orient == "columns":
        columns = {name: {"type": "object", "additionalProperties": cell} for name, cell in cells.items()}
        return {"type": "object", "properties": columns, "required": list(cells)}
    properties = {"schema": {"type": "object"}, "data": {"type": "array", "items": row}}
    return {"type": "object", "properties": properties, "required": ["data"]}


def _check_object(value: Any, where: str, keys: tuple[str, ...]) -> None:
    if not isinstance(value, dict):
        raise ValidationError(where, f"expected an object, got {json_type(value)}", _other_orient(value))
    for key in keys:
        if key not in value:
            raise ValidationError(where, f"{key!r} is missing", _other_orient(value))


def _other_orient(value: Any) -> str:
    if isinstance(value, dict) and {"columns", "data"} <= set(value):
        return "This looks like orient='split', which is not the sample's."
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "This looks like orient='records', which is not the sample's."
    return ""


def _check_index(value: Any, rows: int, where: str) -> Any:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != rows:
        raise ValidationError(where, f"expected a list of {rows} row names")
    for position, name in enumerate(value):
        if type(name) not in _ROW_NAME_TYPES:
            raise ValidationError(f"{where}[{position}]", f"expected a row's name, got {json_type(name)}")
    return value
