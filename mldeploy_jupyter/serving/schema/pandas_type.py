"""`PandasParameterType`: JSON in one of pandas' orients as a data frame like the sample."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

from .base import BuiltinParameterType, ValidationError
from .number_arrays import to_array
from .pandas_columns import bulk_column, cell_converter, cell_schema, is_text
from .pandas_orients import ORIENTS, READERS, AnyColumns, Row, bulk_columns, orient_schema
from .scalars import Convert

__all__ = ["ORIENTS", "PandasParameterType"]


class PandasParameterType(BuiltinParameterType):
    """A data frame with the columns of `sample_input`, in their order and with their types.

    `enforce_shape` asks for exactly the sample's columns, by name (with the orient `values`: by count).
    `enforce_column_type` imposes their types and refuses what would lose something. `orient`, one of `ORIENTS`, is the
    form in JSON. With `apply_column_names` the data may have as many columns of other names, which get the sample's
    names by position.

    As in v1, rows may lack a column that another row has (a missing value), a table by rows may come by columns
    (`{"a": [1], "b": [2]}`), and dates may have any form that pandas reads. `strict` refuses these; a type hint
    is strict unless `strict=False` is given.

    `lossy` also accepts what would lose something (see `numpy_scalars.py`), and reads unknown categories as null.
    Raises `TypeError` when the sample is not a data frame, or has a dtype without a form in JSON, and `ValueError` for
    an unknown orient or duplicate names.
    """

    def __init__(
        self,
        sample_input: Any,
        enforce_column_type: bool = True,
        enforce_shape: bool = True,
        apply_column_names: bool = False,
        orient: str = "records",
        lossy: bool = False,
        strict: bool | None = None,
    ) -> None:
        import pandas as pd

        if not isinstance(sample_input, pd.DataFrame):
            raise TypeError(f"the sample must be a pandas DataFrame, not {type(sample_input).__name__}")
        if orient not in ORIENTS:
            raise ValueError(f"orient must be one of {', '.join(ORIENTS)}, not {orient!r}")
        if not sample_input.columns.map(str).is_unique:
            raise ValueError("the sample has two columns of the same name")
        if orient in ("index", "columns") and not sample_input.index.map(str).is_unique:
            raise ValueError(f"orient={orient!r} needs a sample whose row names are all different")
        super().__init__(sample_input)
        self.enforce_column_type = enforce_column_type
        self.enforce_shape = enforce_shape
        self.orient = orient
        self.apply_column_names = apply_column_names
        self.lossy = lossy
        self.strict = strict
        self.names = [str(name) for name in sample_input.columns]
        self._samples = [sample_input.iloc[:, i] for i in range(len(self.names))]
        self._converters = self._make_converters()
        self._is_text = [is_text(sample) for sample in self._samples]
        self._only_doubles = all(sample.dtype == "float64" for sample in self._samples)

    def _make_converters(self) -> list[Convert]:
        return [cell_converter(sample, self.lossy, self.lax) for sample in self._samples]

    def make_strict(self) -> None:
        super().make_strict()
        self._converters = self._make_converters()

    def parse_bulk(self, value: Any, only_numbers: bool) -> Any:
        if not (self.enforce_column_type and self.enforce_shape):
            return None
        found = bulk_columns(self.orient, value, self.names)
        if found is None:
            return None
        import numpy as np
        import pandas as pd

        names, columns = found
        index = None if names is None else pd.Index(names)
        if self._only_doubles:  # one array for all columns: several times faster than a series for each
            cells = to_array(list(chain.from_iterable(columns)), np.dtype("float64"), only_numbers)
            if cells is None:
                return None
            return pd.DataFrame(cells.reshape(len(columns), -1).T, index=index, columns=self.sample_input.columns)
        series: dict[int, Any] = {}
        for position, (cells, sample) in enumerate(zip(columns, self._samples, strict=True)):
            column = bulk_column(cells, sample, self._is_text[position])
            if column is None:
                try:
                    column = [self._converters[position](cell, "") for cell in cells]
                except ValidationError:
                    return None
            is_array = isinstance(column, np.ndarray)
            series[position] = column if is_array else pd.Series(column, index=index, dtype=sample.dtype)
        frame = pd.DataFrame(series, index=index)
        frame.columns = self.sample_input.columns
        return frame

    def accepts_result(self, value: Any) -> bool:
        sample = self.sample_input
        if self.orient != "records" or type(value) is not type(sample):
            return False
        return bool(value.columns.equals(sample.columns) and (value.dtypes == sample.dtypes).all())

    def parse_items(self, value: Any, where: str) -> Any:
        import pandas as pd

        if self.apply_column_names:
            index, rows = READERS[self.orient](AnyColumns(self.names), value, where)
            rows = self._renamed(rows, where)
        else:
            index, rows = READERS[self.orient](self, value, where)
        names = self.names if self.enforce_shape else self._names_in(rows)
        positions = {name: position for position, name in enumerate(self.names)}
        columns: list[Any] = []
        for name in names:
            cells = [(row.get(name), place(name)) for row, place in rows]
            position = positions.get(name)
            if position is None or not self.enforce_column_type:
                columns.append(pd.Series([cell for cell, _ in cells], index=index))
                continue
            converted = [self._converters[position](cell, place) for cell, place in cells]
            dtype = self.sample_input.dtypes.iloc[position]
            columns.append(pd.Series(converted, index=index, dtype=dtype))
        frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=index)
        frame.columns = self.sample_input.columns if self.enforce_shape else pd.Index(names)
        return frame

    def dump(self) -> Any:
        return json.loads(self.sample_input.to_json(orient=self.orient, date_format="iso", double_precision=15))

    def schema(self) -> dict[str, Any]:
        cells = {name: cell_schema(sample) for name, sample in zip(self.names, self._samples, strict=True)}
        return {**orient_schema(self.orient, cells), "x-format": f"pandas.DataFrame:{self.orient}"}

    def only_integers(self) -> bool:
        return bool(self.names) and len(self.integer_columns()) == len(self.names)

    def integer_columns(self) -> list[str]:
        if not self.enforce_column_type or self.lossy:
            return []
        return [name for name, dtype in zip(self.names, self.sample_input.dtypes, strict=True) if dtype.kind in "iu"]

    def has_rows(self) -> bool:
        return True

    def concatenates(self) -> bool:
        return self.orient in ("records", "values")  # those that are lists of rows

    @property
    def lax(self) -> bool:
        """Whether what v1 took is taken."""
        return not self.strict

    def check_names(self, names: list[str], where: str) -> None:
        """Raises `ValidationError` that names all missing and unknown columns."""
        if not self.enforce_shape:
            return
        missing = [name for name in self.names if name not in names]
        unknown = [name for name in names if name not in self.names]
        if missing or unknown:
            parts = [
                f"{word} {', '.join(map(repr, found))}"
                for word, found in (("no", missing), ("unknown", unknown))
                if found
            ]
            hint = f"The columns are: {', '.join(self.names)}."
            raise ValidationError(where, f"wrong columns: {'; '.join(parts)}", hint)

    def _renamed(self, rows: list[Row], where: str) -> list[Row]:
        """The rows with the sample's names instead of theirs, by position."""
        given = self._names_in(rows)
        if set(given) == set(self.names) or not self.enforce_shape:
            return rows
        if len(given) != len(self.names):
            raise ValidationError(where, f"expected {len(self.names)} columns, got {len(given)}: {', '.join(given)}")
        name_of = dict(zip(self.names, given, strict=True))
        return [
            ({name: row.get(name_of[name]) for name in self.names}, lambda name, place=place: place(name_of[name]))  # type: ignore[misc]
            for row, place in rows
        ]

    def _names_in(self, rows: list[Row]) -> list[str]:
        found = dict.fromkeys(name for row, _ in rows for name in row)
        return list(found) if found else self.names
