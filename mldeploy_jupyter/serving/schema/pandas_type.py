"""`PandasParameterType`: JSON in one of pandas' orients as a data frame like the sample."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

from .base import OwnParameterType, ValidationError
from .number_arrays import to_array
from .pandas_columns import cell_of, cell_schema, column_of, is_text
from .pandas_orients import ORIENTS, READERS, Row, bulk_columns

__all__ = ["ORIENTS", "PandasParameterType"]


class PandasParameterType(OwnParameterType):
    """A data frame with the columns of `sample_input`, in their order and with their types.

    `enforce_shape` asks for exactly the sample's columns, by name (`values`: by count). `enforce_column_type`
    imposes their types and refuses what would lose something. `orient` is the form in JSON.
    `apply_column_names` is accepted for old scripts: names are always those of the sample. `lossy` takes what would
    lose something too (see `scalars.py`), and nulls for unknown categories.
    Raises `TypeError` when the sample is no data frame, `ValueError` for an unknown orient or names that come twice.
    """

    def __init__(
        self,
        sample_input: Any,
        enforce_column_type: bool = True,
        enforce_shape: bool = True,
        apply_column_names: bool = False,
        orient: str = "records",
        lossy: bool = False,
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
        self.lossy = lossy
        self.names = [str(name) for name in sample_input.columns]
        self._samples = [sample_input.iloc[:, i] for i in range(len(self.names))]
        self._converters = [cell_of(sample, lossy) for sample in self._samples]
        self._texts = [is_text(sample) for sample in self._samples]
        # Texts without a type of their own, and columns of doubles only, need no work of pandas.
        self._doubles = all(sample.dtype == "float64" for sample in self._samples)

    def parse_bulk(self, value: Any, numbers: bool) -> Any:
        if not (self.enforce_column_type and self.enforce_shape):
            return None
        found = bulk_columns(self.orient, value, self.names)
        if found is None:
            return None
        import numpy as np
        import pandas as pd

        names, columns = found
        index = None if names is None else pd.Index(names)
        if self._doubles:
            cells = to_array(list(chain.from_iterable(columns)), np.dtype("float64"), numbers)
            if cells is None:
                return None
            return pd.DataFrame(cells.reshape(len(columns), -1).T, index=index, columns=self.sample_input.columns)
        series: dict[int, Any] = {}
        for position, (cells, sample) in enumerate(zip(columns, self._samples, strict=True)):
            column = column_of(cells, sample, self._texts[position])
            if column is None:
                try:
                    column = [self._converters[position](cell, "") for cell in cells]
                except ValidationError:
                    return None
            kept = isinstance(column, np.ndarray)
            series[position] = column if kept else pd.Series(column, index=index, dtype=sample.dtype)
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

        index, rows = READERS[self.orient](self, value, where)
        names = self.names if self.enforce_shape else self._found(rows)
        positions = {name: position for position, name in enumerate(self.names)}
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
        return json.loads(self.sample_input.to_json(orient=self.orient, date_format="iso", double_precision=15))

    def schema(self) -> dict[str, Any]:
        cells = {name: cell_schema(self.sample_input.iloc[:, i]) for i, name in enumerate(self.names)}
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
        return bool(self.names) and len(self.integer_columns()) == len(self.names)

    def integer_columns(self) -> list[str]:
        if not self.enforce_column_type or self.lossy:
            return []
        return [name for name, dtype in zip(self.names, self.sample_input.dtypes, strict=True) if dtype.kind in "iu"]

    def has_rows(self) -> bool:
        return True

    def concatenates(self) -> bool:
        return self.orient in ("records", "values")  # a list of rows

    def check_names(self, names: list[str], where: str) -> None:
        """Refuses missing and unknown columns, naming both kinds at once."""
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

    def _found(self, rows: list[Row]) -> list[str]:
        found = dict.fromkeys(name for row, _ in rows for name in row)
        return list(found) if found else self.names
