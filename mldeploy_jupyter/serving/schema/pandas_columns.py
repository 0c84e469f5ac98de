"""Columns of a data frame: the conversion of one JSON value to a cell, and of a list of them to a column in bulk."""

from __future__ import annotations

import json
from typing import Any

from .base import ValidationError, short_repr
from .number_arrays import to_array
from .numpy_scalars import STARTS_WITH_YEAR, converter
from .scalars import Convert, is_loose_time, to_str

_TEXT_OR_NULL = {str, type(None)}


def bulk_column(cells: list[Any], sample: Any, text: bool) -> Any:
    """The cells as a column like `sample`, in bulk; None when one is unusual. `text`: whether `is_text(sample)`."""
    import numpy as np

    dtype = sample.dtype
    if text:
        return cells if set(map(type, cells)) <= _TEXT_OR_NULL else None
    return to_array(cells, dtype) if isinstance(dtype, np.dtype) and cells else None


def is_text(sample: Any) -> bool:
    """Whether a column has only strings and nulls."""
    import pandas as pd

    return isinstance(sample.dtype, pd.StringDtype) or (sample.dtype == object and _only_strings(sample))


def cell_converter(sample: Any, lossy: bool = False, lax: bool = False) -> Convert:
    """The conversion of a JSON value to a cell of a column like `sample`.

    If `lax`, dates may have any form, and a column of text takes numbers and booleans: as they are, or as text where
    the column's type has only that.

    Raises `TypeError` for a dtype without a form in JSON.
    """
    import numpy as np
    import pandas as pd

    dtype = sample.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        # True == 1 in Python, but not in JSON.
        known = {(isinstance(item, bool), item): item for item in dtype.categories.tolist()}
        return lambda value, where: _to_category(value, where, known, lossy)
    if isinstance(dtype, pd.DatetimeTZDtype):
        return lambda value, where: _to_timestamp(value, where, dtype.tz, dtype.unit, lossy, lax)
    if dtype.kind in "mM":
        unit = np.datetime_data(dtype)[0]
        if dtype.kind == "M":
            return lambda value, where: _to_timestamp(value, where, None, unit, lossy, lax)
        return lambda value, where: _to_timedelta(value, where, unit, lossy)
    if pd.api.types.is_extension_array_dtype(dtype) and dtype.kind in "iufb":
        inner = converter(np.dtype(dtype.type), lossy)
        return lambda value, where: pd.NA if value is None else inner(value, where)
    if is_text(sample) and lax:
        return _to_lax_text if isinstance(dtype, pd.StringDtype) else _same
    if is_text(sample):
        return lambda value, where: None if value is None else to_str(value, where)
    if pd.api.types.is_extension_array_dtype(dtype):
        raise TypeError(f"a column of type {dtype} has no form in JSON")
    return converter(dtype, lossy)


def _same(value: Any, where: str) -> Any:
    return value


def _to_lax_text(value: Any, where: str) -> str | None:
    if value is None:
        return None
    return str(value) if type(value) in (int, float, bool) else to_str(value, where)


def _only_strings(sample: Any) -> bool:
    values = [value for value in sample.tolist() if value is not None]
    return bool(values) and all(type(value) is str for value in values)


def _to_category(value: Any, where: str, known: dict[Any, Any], lossy: bool) -> Any:
    nested = isinstance(value, (list, dict))
    if value is None or (not nested and (isinstance(value, bool), value) in known):
        return value
    if lossy and not nested:
        return None
    hint = f"They are: {short_repr(list(known.values()))}."
    raise ValidationError(where, f"{short_repr(value)} is not one of the sample's categories", hint)


def _time_text(value: Any, where: str) -> str:
    """The text of a date or a duration. Raises `ValidationError`, for the numbers that pandas writes with a hint."""
    if type(value) in (int, float):
        hint = (
            'Send ISO 8601, as frame.to_json(orient="records", date_format="iso") writes it, or send the frame itself.'
        )
        raise ValidationError(where, f"expected a date, a time or a duration as text, got {short_repr(value)}", hint)
    return to_str(value, where)


def _to_timestamp(value: Any, where: str, zone: Any, unit: str, lossy: bool, lax: bool) -> Any:
    import pandas as pd

    if value is None:
        return pd.NaT
    text = _time_text(value, where)
    try:
        is_date = STARTS_WITH_YEAR.match(text) or (lax and is_loose_time(text))
        stamp = pd.Timestamp(text if is_date else "no date")  # pandas also accepts "now"
    except (ValueError, OverflowError):
        raise ValidationError(where, f"{short_repr(value)} is not a date or time in ISO 8601") from None
    stamp = _to_unit(stamp, value, where, unit, lossy)
    if zone is not None:
        return stamp.tz_localize(zone) if stamp.tzinfo is None else stamp.tz_convert(zone)
    return stamp if stamp.tzinfo is None else stamp.tz_convert("UTC").tz_localize(None)


def _to_timedelta(value: Any, where: str, unit: str, lossy: bool) -> Any:
    import pandas as pd

    if value is None:
        return pd.NaT
    text = _time_text(value, where)
    try:
        found = pd.Timedelta(text)
    except (ValueError, OverflowError):
        raise ValidationError(where, f"{short_repr(value)} is not a duration, such as P1DT2H") from None
    return _to_unit(found, value, where, unit, lossy)


def _to_unit(found: Any, value: Any, where: str, unit: str, lossy: bool) -> Any:
    try:
        return found.as_unit(unit, round_ok=lossy)
    except (ValueError, OverflowError):
        raise ValidationError(
            where, f"{short_repr(value)} cannot be counted in {unit} without losing precision"
        ) from None


def cell_schema(sample: Any) -> dict[str, Any]:
    """JSON Schema of a cell of a column like `sample`."""
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
