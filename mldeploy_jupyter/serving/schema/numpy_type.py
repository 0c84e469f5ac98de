"""`NumpyParameterType`: nested lists as an array with the sample's dtype and shape."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from .array_items import (
    MAX_NDIM,
    check_ndim,
    convert_items,
    fill_array,
    infer_array,
    item_schema,
    ndim_of,
    shape_of,
    shape_words,
)
from .base import BuiltinParameterType, ValidationError, json_type
from .number_arrays import flatten, to_array
from .numpy_scalars import converter
from .scalars import Convert

_FLOATS = {float}


class NumpyParameterType(BuiltinParameterType):
    """An array like `sample_input`.

    `enforce_column_type` imposes the sample's dtype and refuses what would lose something. `enforce_shape` asks for
    the sample's shape except for the number of rows: with a sample of shape `(n, d)`, any number of rows of d values.
    An array of text takes numbers and booleans, too. `lossy` also accepts what would lose something (see
    `numpy_scalars.py`), which v1 always did.
    Raises `TypeError` when the sample is not an array, or has a dtype without a form in JSON.
    """

    def __init__(
        self, sample_input: Any, enforce_column_type: bool = True, enforce_shape: bool = True, lossy: bool = False
    ) -> None:
        import numpy as np

        if not isinstance(sample_input, (np.ndarray, np.generic)):
            raise TypeError(f"the sample must be a numpy array, not {type(sample_input).__name__}")
        super().__init__(np.asarray(sample_input))
        self.enforce_column_type = enforce_column_type
        self.enforce_shape = enforce_shape
        self.lossy = lossy
        dtype = self.sample_input.dtype
        self._convert = _field_converter(dtype, lossy)

    def parse_bulk(self, value: Any, only_numbers: bool) -> Any:
        sample = self.sample_input
        if not self.enforce_column_type or sample.ndim == 0:
            return None
        row_shape = sample.shape[1:] if self.enforce_shape else shape_of(value, ndim_of(value))[1:]
        flat = flatten(value, row_shape)
        if flat is None or len(row_shape) >= MAX_NDIM:
            return None
        result = to_array(flat, sample.dtype, only_numbers)
        return result if result is None or not row_shape else result.reshape(-1, *row_shape)

    def float_rows(self) -> Callable[[Any, int], Any] | None:
        import numpy as np

        sample = self.sample_input
        if sample.ndim != 2 or sample.dtype != np.float64 or not self.enforce_column_type or not self.enforce_shape:
            return None
        width, doubles, array, items_of = sample.shape[1], np.dtype(np.float64), np.array, chain.from_iterable

        def convert(value: Any, points: int) -> Any:
            try:
                result = array(value)
            except ValueError:  # rows of different lengths
                return None
            if result.dtype is not doubles or result.ndim != 2 or result.shape[1] != width or not result.size:
                return None
            has_floats_only = result.size == points or set(map(type, items_of(value))) == _FLOATS
            return result if has_floats_only else None

        return convert

    def parse_items(self, value: Any, where: str) -> Any:
        sample = self.sample_input
        if self.enforce_shape:
            shape = [*shape_of(value, min(sample.ndim, 1)), *sample.shape[1:]]
        else:
            shape = shape_of(value, ndim_of(value))
        check_ndim(shape, where)
        if self.enforce_shape and sample.ndim > 1 and isinstance(value, list) and not value:
            raise ValidationError(where, f"expected {shape_words(sample.shape)}, got an empty list")
        if not self.enforce_column_type:
            return infer_array(convert_items(value, where, shape, _same), shape, where, self.lossy)
        return fill_array(convert_items(value, where, shape, self._convert), shape, sample.dtype)

    def accepts_result(self, value: Any) -> bool:
        import numpy as np

        sample = self.sample_input
        if not isinstance(value, np.ndarray) or not value.size:
            return False
        shape_fits = not self.enforce_shape or (value.ndim == sample.ndim and value.shape[1:] == sample.shape[1:])
        return shape_fits and (not self.enforce_column_type or np.can_cast(value.dtype, sample.dtype))

    def dump(self) -> Any:
        return _to_json(self.sample_input)

    def schema(self) -> dict[str, Any]:
        sample = self.sample_input
        item = _field_schema(sample.dtype)
        for axis in range(sample.ndim - 1, -1, -1):
            item = {"type": "array", "items": item}
            if self.enforce_shape and axis > 0:
                item |= {"minItems": sample.shape[axis], "maxItems": sample.shape[axis]}
        return {**item, "x-format": "numpy.ndarray"}

    def only_integers(self) -> bool:
        return self.enforce_column_type and not self.lossy and self.sample_input.dtype.kind in "iu"

    def has_rows(self) -> bool:
        return bool(self.sample_input.ndim)

    def concatenates(self) -> bool:
        return self.has_rows()


def _same(value: Any, where: str) -> Any:
    return value


def _field_converter(dtype: Any, lossy: bool) -> Convert:
    """The conversion of an item of any dtype: a value, a record, or an array of fixed shape inside a record."""
    if dtype.subdtype is None:
        if dtype.names is not None:
            return _record_converter(dtype, lossy)
        convert = converter(dtype, lossy)
        return _from_number(convert) if dtype.kind == "U" else convert
    item, shape = dtype.subdtype
    convert = _field_converter(item, lossy)
    return lambda value, where: fill_array(convert_items(value, where, shape, convert), shape, item)


def _from_number(convert: Convert) -> Convert:
    """Takes numbers and booleans as texts, as v1: a sample of mixed values, such as `[[1, "a"]]`, is one of texts."""
    return lambda value, where: convert(str(value) if type(value) in (int, float, bool) else value, where)


def _field_schema(dtype: Any) -> dict[str, Any]:
    if dtype.names is not None:
        properties = {name: _field_schema(dtype[name]) for name in dtype.names}
        return {"type": "object", "properties": properties, "required": list(dtype.names)}
    if dtype.subdtype is None:
        return item_schema(dtype)
    item, shape = dtype.subdtype
    schema = _field_schema(item)
    for length in reversed(shape):
        schema = {"type": "array", "items": schema, "minItems": length, "maxItems": length}
    return schema


def _record_converter(dtype: Any, lossy: bool) -> Convert:
    """The conversion of an item of a structured dtype: an object by field name, or a list by position."""
    fields = {name: _field_converter(dtype[name], lossy) for name in dtype.names}

    def convert(value: Any, where: str) -> tuple[Any, ...]:
        if isinstance(value, dict):
            unknown = [name for name in value if name not in fields]
            missing = [name for name in fields if name not in value]
            if unknown or missing:
                text = f"field {(missing or unknown)[0]!r} is {'missing' if missing else 'unknown'}"
                raise ValidationError(where, text)
            return tuple(to(value[name], f"{where}.{name}") for name, to in fields.items())
        if isinstance(value, list) and len(value) == len(fields):
            items = zip(fields.values(), value, strict=True)
            return tuple(to(item, f"{where}[{index}]") for index, (to, item) in enumerate(items))
        raise ValidationError(where, f"expected an object with {', '.join(fields)}, got {json_type(value)}")

    return convert


def _to_json(array: Any) -> Any:
    """An array as JSON data: NaN and NaT as null, times in ISO 8601."""
    import numpy as np

    dtype = array.dtype
    if dtype.names is not None:
        if array.ndim == 0:
            return {name: _to_json(np.asarray(array[name])) for name in dtype.names}
        return [_to_json(np.asarray(item)) for item in array]
    if dtype.kind == "M":
        return _map_items(np.datetime_as_string(array).tolist(), lambda text: None if text == "NaT" else text)
    if dtype.kind == "m":
        return array.astype("int64").tolist()
    if dtype.kind == "S":
        return _map_items(array.tolist(), lambda data: data.decode("utf-8", "replace"))
    if dtype.kind == "f":
        return _map_items(array.tolist(), lambda number: number if np.isfinite(number) else None)
    return array.tolist()


def _map_items(value: Any, convert: Any) -> Any:
    return [_map_items(item, convert) for item in value] if isinstance(value, list) else convert(value)
