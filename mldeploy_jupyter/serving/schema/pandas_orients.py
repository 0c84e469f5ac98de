"""pandas' orients: a table in JSON as rows, with the place of every cell, or as columns."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, Protocol

from .base import ValidationError, json_type

_ROW_NAMES = {str, int, float}
ORIENTS = ("records", "split", "index", "columns", "values", "table")


class Columns(Protocol):
    """The columns that are expected."""

    @property
    def names(self) -> list[str]: ...

    def check_names(self, names: list[str], where: str) -> None:
        """Raises `ValidationError` when these columns will not do."""


def bulk_columns(orient: str, value: Any, names: list[str]) -> tuple[Any, list[list[Any]]] | None:
    """The row names (None: plain numbers) and the cells of each column; None for whatever is unusual."""
    index: Any = None
    if not names:
        return None
    if orient == "split":
        if type(value) is not dict or not value.keys() <= {"columns", "index", "data"}:
            return None
        index, found, value = value.get("index"), value.get("columns"), value.get("data")
        if found != names or (index is not None and (type(index) is not list or type(value) is not list)):
            return None
        if index is not None and (len(index) != len(value) or not set(map(type, index)) <= _ROW_NAMES):
            return None
    elif orient == "index" and type(value) is dict:
        index, value = list(value), list(value.values())
        orient = "records"
    elif orient == "columns" and type(value) is dict:
        return _quick_by_column(value, names)
    if type(value) is not list or not value:
        return None
    kinds = set(map(type, value))
    if not (kinds == {list} or kinds == {dict}) or set(map(len, value)) != {len(names)}:
        return None
    if kinds == {list} and orient in ("split", "values"):
        return index, [list(cells) for cells in zip(*value, strict=True)]
    if kinds != {dict} or orient != "records":
        return None
    try:
        return index, [list(map(itemgetter(name), value)) for name in names]
    except KeyError:
        return None


def _quick_by_column(value: dict[str, Any], names: list[str]) -> tuple[Any, list[list[Any]]] | None:
    if value.keys() != set(names) or set(map(type, value.values())) != {dict}:
        return None
    index = list(value[next(iter(value))])
    if not index or any(list(column) != index for column in value.values()):
        return None
    return index, [list(value[name].values()) for name in names]


Row = tuple[dict[str, Any], Callable[[str], str]]
Rows = tuple[Any, list[Row]]


def _records(kind: Columns, value: Any, where: str) -> Rows:
    if not isinstance(value, list):
        raise ValidationError(
            where, f"expected a list of objects, one a row, got {json_type(value)}", _other_orient(value)
        )
    rows: list[Row] = []
    for index, row in enumerate(value):
        rows.append(_row(kind, row, f"{where}[{index}]"))
    return None, rows


def _row(kind: Columns, row: Any, where: str) -> Row:
    if not isinstance(row, dict):
        raise ValidationError(where, f"expected an object with the columns, got {json_type(row)}")
    kind.check_names(list(row), where)
    return row, lambda name: f"{where}.{name}"


def _values(kind: Columns, value: Any, where: str) -> Rows:
    return None, _lists(kind, value, kind.names, where)


def _lists(kind: Columns, value: Any, names: list[str], where: str) -> list[Row]:
    if not isinstance(value, list):
        raise ValidationError(where, f"expected a list of rows, got {json_type(value)}")
    rows: list[Row] = []
    for index, row in enumerate(value):
        at = f"{where}[{index}]"
        if not isinstance(row, list):
            raise ValidationError(at, f"expected a list of {len(names)} values, got {json_type(row)}")
        if len(row) != len(names):
            raise ValidationError(at, f"expected {len(names)} values, got {len(row)}")
        places = {name: f"{at}[{column}]" for column, name in enumerate(names)}
        rows.append((dict(zip(names, row, strict=True)), places.__getitem__))
    return rows


def _split(kind: Columns, value: Any, where: str) -> Rows:
    _object(value, where, ("columns", "data"))
    names = value["columns"]
    if not isinstance(names, list) or len(set(map(str, names))) != len(names):
        raise ValidationError(f"{where}.columns", "expected a list of different column names")
    names = [str(name) for name in names]
    kind.check_names(names, f"{where}.columns")
    rows = _lists(kind, value["data"], names, f"{where}.data")
    return _index(value.get("index"), len(rows), f"{where}.index"), rows


def _by_index(kind: Columns, value: Any, where: str) -> Rows:
    _object(value, where, ())
    return list(value), [_row(kind, row, f"{where}.{key}") for key, row in value.items()]


def _by_column(kind: Columns, value: Any, where: str) -> Rows:
    _object(value, where, ())
    kind.check_names(list(value), where)
    index: list[str] = []
    for number, (name, column) in enumerate(value.items()):
        at = f"{where}.{name}"
        if not isinstance(column, dict):
            raise ValidationError(at, f"expected an object of values by row, got {json_type(column)}")
        if number == 0:
            index = list(column)
        elif set(column) != set(index):
            raise ValidationError(at, "this column does not have the same rows as the first one")
    rows: list[Row] = []
    for key in index:
        row = {name: column[key] for name, column in value.items()}
        rows.append((row, lambda name, key=key: f"{where}.{name}.{key}"))  # type: ignore[misc]
    return index, rows


def _table(kind: Columns, value: Any, where: str) -> Rows:
    _object(value, where, ("data",))
    if not isinstance(value["data"], list):
        raise ValidationError(f"{where}.data", f"expected a list of objects, got {json_type(value['data'])}")
    described = value.get("schema", {})
    keys = described.get("primaryKey") if isinstance(described, dict) else None
    keys = keys if isinstance(keys, list) else [keys] if keys else []
    keys = [key for key in (keys or ["index"]) if type(key) is str and key not in kind.names]
    rows, index = [], []
    for number, row in enumerate(value["data"]):
        at = f"{where}.data[{number}]"
        if not isinstance(row, dict):
            raise ValidationError(at, f"expected an object with the columns, got {json_type(row)}")
        index.append(next((row[key] for key in keys if key in row), number))
        rows.append(_row(kind, {name: cell for name, cell in row.items() if name not in keys}, at))
    return _index(index, len(rows), f"{where}.data.{keys[0] if keys else 'index'}"), rows


READERS: dict[str, Callable[[Columns, Any, str], Rows]] = {
    "records": _records,
    "values": _values,
    "split": _split,
    "index": _by_index,
    "columns": _by_column,
    "table": _table,
}


def _object(value: Any, where: str, keys: tuple[str, ...]) -> None:
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


def _index(value: Any, rows: int, where: str) -> Any:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != rows:
        raise ValidationError(where, f"expected a list of {rows} row names")
    for position, name in enumerate(value):
        if type(name) not in _ROW_NAMES:
            raise ValidationError(f"{where}[{position}]", f"expected a row's name, got {json_type(name)}")
    return value
