"""Tables and columns of pandas, polars and pyarrow, read alike, and written in any of pandas' orients."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any


class NotATable(ValueError):
    """A table whose form in JSON would lose something. `hint` says what to do."""

    def __init__(self, text: str, hint: str) -> None:
        super().__init__(text)
        self.hint = hint


@dataclass(frozen=True)
class Table:
    """Column names, the cells of each column, and the names of the rows. Cells may be any Python values."""

    names: list[str]
    columns: list[list[Any]]
    index: list[Any]

    def rows(self) -> list[list[Any]]:
        """The rows as lists, in the order of the columns."""
        return [list(row) for row in zip(*self.columns, strict=True)] if self.columns else [[] for _ in self.index]

    def records(self) -> list[dict[str, Any]]:
        """The rows as dicts by column name."""
        return [dict(zip(self.names, row, strict=True)) for row in self.rows()]

    def to_orient(self, orient: str) -> Any:
        """The table in one of pandas' orients; as records for an unknown one."""
        if orient == "values":
            return self.rows()
        if orient == "split":
            return {"columns": self.names, "index": self.index, "data": self.rows()}
        if orient == "index":
            return dict(zip(_row_names(self.index), self.records(), strict=True))
        if orient == "columns":
            rows = _row_names(self.index)
            cells = zip(self.names, self.columns, strict=True)
            return {name: dict(zip(rows, column, strict=True)) for name, column in cells}
        if orient == "table":
            return {"data": self.records()}
        return self.records()


def read_table(value: Any) -> Table | None:
    """A DataFrame of pandas or polars, or a Table or RecordBatch of pyarrow; None for another value.

    Raises `NotATable` for one with two columns of the same name, and for a lazy frame.
    """
    package, kind = _origin(value)
    if package == "pandas" and kind == "DataFrame":
        names = [str(label) for label in value.columns.tolist()]
        check_names(names)
        columns = [value.iloc[:, position].tolist() for position in range(len(names))]
        return Table(names, columns, value.index.tolist())
    if package == "polars" and kind == "LazyFrame":
        raise NotATable("a LazyFrame has no rows yet", "send frame.collect()")
    if package == "polars" and kind == "DataFrame":
        return Table(value.columns, [column.to_list() for column in value.get_columns()], list(range(value.height)))
    if package == "pyarrow" and kind in ("Table", "RecordBatch"):
        names = list(value.schema.names)
        check_names(names)
        return Table(names, [column.to_pylist() for column in value.columns], list(range(value.num_rows)))
    return None


def is_table(value: Any) -> bool:
    """Whether the value is a table of pandas, polars or pyarrow."""
    return _origin(value)[1] in ("DataFrame", "Table", "RecordBatch")


def read_column(value: Any) -> Any:
    """A Series, an Index or an extension array as a list, pyarrow's arrays too, a scalar as itself; or None."""
    package, kind = _origin(value)
    if package == "pandas":
        if kind == "Period":
            return str(value)
        return value.tolist() if callable(getattr(value, "tolist", None)) else None
    if package == "polars":
        return value.to_list() if kind == "Series" else None
    if package == "pyarrow":
        for method in ("to_pylist", "as_py"):
            if callable(getattr(value, method, None)):
                return getattr(value, method)()
    return None


def is_missing(value: Any) -> bool:
    """Whether the value is pandas' NaT or NA, or a null of pyarrow."""
    pd = sys.modules.get("pandas")
    if pd is not None and (value is pd.NaT or value is pd.NA):
        return True
    return type(value).__module__ == "pyarrow.lib" and getattr(value, "is_valid", True) is False


def is_row(value: Any) -> bool:
    """Whether the value is a Series of pandas that is a row of a table: its labels are texts."""
    package, kind = _origin(value)
    return package == "pandas" and kind == "Series" and all(isinstance(label, str) for label in value.index)


def is_series(value: Any) -> bool:
    """Whether the value is a Series of pandas."""
    return _origin(value) == ("pandas", "Series")


def _origin(value: Any) -> tuple[str, str]:
    """The package and the name of the value's class, or of the first base of it that is a library's own."""
    for kind in type(value).__mro__:
        package = kind.__module__.partition(".")[0]
        if package in ("pandas", "polars", "pyarrow"):
            return package, kind.__name__
    return "", ""


def check_names(names: list[str]) -> None:
    """Raises `NotATable` when two columns have the same name."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            text = f"the table has two columns named {name!r}, and JSON would keep only one"
            raise NotATable(text, "rename one of them, or send frame.to_numpy() if the service takes an array")
        seen.add(name)


def _row_names(index: list[Any]) -> list[str]:
    names = [str(name) for name in index]
    if len(set(names)) < len(names):
        raise NotATable("two rows of the table have the same name", "send frame.reset_index(drop=True)")
    return names
