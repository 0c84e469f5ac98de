"""`NumpyParameterType`: nested lists as an array of the sample's type and shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .base import OwnParameterType, ValidationError, json_type
from .number_arrays import flatten, to_array
from .scalars import Convert, converter, to_float, to_str

MAX_DIMENSIONS = 32  # of an array, in every version of numpy


class NumpyParameterType(OwnParameterType):
    """An array like `sample_input`.

    `enforce_column_type` imposes the sample's dtype, refusing what would lose something. `enforce_shape` asks
    for the sample's number of dimensions and its sizes, all but the first, which counts the rows. `lossy` takes
    what would lose something too (see `scalars.py`), as v1 did without being asked.
    Raises `TypeError` when the sample is not an array, or of a type that JSON has no form for.
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
        self._convert = _record(dtype, lossy) if self._structured else converter(dtype, lossy)

    def parse_bulk(self, value: Any, numbers: bool) -> Any:
        sample = self.sample_input
        if not self.enforce_column_type or sample.ndim == 0:
            return None
        sizes = sample.shape[1:] if self.enforce_shape else shape_of(value, depth_of(value))[1:]
        flat = flatten(value, sizes)
        if flat is None or len(sizes) >= MAX_DIMENSIONS:
            return None
        result = to_array(flat, sample.dtype, numbers)
        return result if result is None or not sizes else result.reshape(-1, *sizes)

    def accepts_result(self, value: Any) -> bool:
        import numpy as np

        sample = self.sample_input
        if not isinstance(value, np.ndarray) or not value.size:
            return False
        shaped = not self.enforce_shape or (value.ndim == sample.ndim and value.shape[1:] == sample.shape[1:])
        return shaped and (not self.enforce_column_type or np.can_cast(value.dtype, sample.dtype))

    def parse_items(self, value: Any, where: str) -> Any:
        sample = self.sample_input
        depth = sample.ndim if self.enforce_shape else depth_of(value)
        shape = [*shape_of(value, min(depth, 1)), *sample.shape[1:]] if self.enforce_shape else shape_of(value, depth)
        check_dimensions(shape, where)
        if self.enforce_shape and depth and isinstance(value, list) and not value:
            raise ValidationError(where, f"expected {_words(sample.shape)}, got an empty list")
        sizes = (None, *sample.shape[1:]) if self.enforce_shape else tuple(shape)
        flat: list[Any] = []
        convert: Convert = self._convert if self.enforce_column_type else _same
        walk(value, where, sizes[:depth], sample.shape if self.enforce_shape else tuple(shape), convert, flat)
        if not self.enforce_column_type:
            return untyped(flat, shape, where, self.lossy)
        return filled(flat, shape, sample.dtype)

    def dump(self) -> Any:
        return _plain(self.sample_input)

    def schema(self) -> dict[str, Any]:
        sample = self.sample_input
        item: dict[str, Any]
        if self._structured:
            names = list(sample.dtype.names)
            properties = {name: item_schema(sample.dtype[name]) for name in names}
            item = {"type": "object", "properties": properties, "required": names}
        else:
            item = item_schema(sample.dtype)
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

    @property
    def _structured(self) -> bool:
        return self.sample_input.dtype.names is not None


def walk(
    value: Any, where: str, sizes: tuple[int | None, ...], shape: tuple[int, ...], convert: Convert, out: list[Any]
) -> None:
    """Appends the converted items in order. `sizes` are the lengths of the levels left; None is any."""
    if not sizes:
        out.append(convert(value, where))
        return
    if not isinstance(value, list):
        raise ValidationError(where, f"expected {_words(shape)}, got {json_type(value)}")
    if sizes[0] is not None and len(value) != sizes[0]:
        raise ValidationError(where, f"expected {sizes[0]} values, got {len(value)}")
    for index, item in enumerate(value):
        walk(item, f"{where}[{index}]", sizes[1:], shape, convert, out)


def check_dimensions(shape: Sequence[int], where: str) -> None:
    if len(shape) > MAX_DIMENSIONS:
        raise ValidationError(
            where, f"lists are nested {len(shape)} levels deep; an array has {MAX_DIMENSIONS} at most"
        )


def filled(flat: list[Any], shape: Sequence[int], dtype: Any) -> Any:
    """Converted values as an array."""
    import numpy as np

    result = np.empty(len(flat), dtype=dtype)
    if dtype.kind == "O":
        for position, item in enumerate(flat):
            result[position] = item
    elif flat:
        result[:] = flat
    return result.reshape(shape)


def untyped(flat: list[Any], shape: Sequence[int], where: str, lossy: bool = False) -> Any:
    """Values as an array of the type that numpy makes of them, when that changes none of them."""
    import numpy as np

    kinds = set(map(type, flat))
    # No integer type of numpy holds both: it makes doubles of them, also where an unsigned one would do.
    large = kinds == {int} and 2**63 <= max(flat) < 2**64
    if large and min(flat) >= 0:
        return filled(flat, shape, np.dtype("u8"))
    for position, item in enumerate(flat if not lossy and (len(kinds) > 1 or str in kinds or large) else ()):
        at = where + "".join(f"[{index}]" for index in np.unravel_index(position, tuple(shape) or (1,))[: len(shape)])
        if type(item) is str:
            to_str(item, at, len(item))
        if list in kinds and type(item) is list:
            raise ValidationError(at, "expected a value, got a list")
        if str in kinds and type(item) is not str and item is not None:
            raise ValidationError(at, f"expected a string, as elsewhere in the data, got {json_type(item)}")
        if bool in kinds and type(item) in (int, float):
            raise ValidationError(at, f"expected true or false, as elsewhere in the data, got {json_type(item)}")
        if (float in kinds or large) and type(item) is int:
            to_float(item, at, "float64")
    try:
        if dict in kinds:
            return filled(flat, shape, np.dtype(object))
        return np.array(flat).reshape(shape)
    except ValueError as error:
        raise ValidationError(where, str(error)) from error


def _same(value: Any, where: str) -> Any:
    return value


def _record(dtype: Any, lossy: bool) -> Convert:
    """Items of a structured type: objects by field name, or lists by position."""
    fields = {name: converter(dtype[name], lossy) for name in dtype.names}

    def convert(value: Any, where: str) -> tuple[Any, ...]:
        if isinstance(value, dict):
            unknown = [name for name in value if name not in fields]
            missing = [name for name in fields if name not in value]
            if unknown or missing:
                raise ValidationError(
                    where, f"field {(missing or unknown)[0]!r} is {'missing' if missing else 'unknown'}"
                )
            return tuple(to(value[name], f"{where}.{name}") for name, to in fields.items())
        if isinstance(value, list) and len(value) == len(fields):
            items = zip(fields.values(), value, strict=True)
            return tuple(to(item, f"{where}[{index}]") for index, (to, item) in enumerate(items))
        raise ValidationError(where, f"expected an object with {', '.join(fields)}, got {json_type(value)}")

    return convert


def depth_of(value: Any) -> int:
    depth = 0
    while isinstance(value, list):
        depth += 1
        if not value:
            break
        value = value[0]
    return depth


def shape_of(value: Any, depth: int) -> list[int]:
    shape = []
    for _ in range(depth):
        shape.append(len(value) if isinstance(value, list) else 0)
        value = value[0] if isinstance(value, list) and value else None
    return shape


def _words(shape: tuple[int, ...]) -> str:
    if not shape:
        return "a single value"
    if len(shape) == 1:
        return "a list of values"
    return f"a list of rows of {' x '.join(map(str, shape[1:]))} values"


def item_schema(dtype: Any) -> dict[str, Any]:
    kind = dtype.kind
    if kind in "iu":
        return {"type": "integer", "format": "int64"}
    if kind == "f":
        return {"type": ["number", "null"], "format": "double"}
    if kind == "b":
        return {"type": "boolean"}
    if kind == "U":
        return {"type": "string", "maxLength": dtype.itemsize // 4}
    if kind == "M":
        return {"type": ["string", "null"], "format": "date-time"}
    return {"type": "integer"} if kind == "m" else {"type": "string"} if kind == "S" else {}


def _plain(array: Any) -> Any:
    """The array as JSON data: NaN and NaT as null, times in ISO 8601."""
    import numpy as np

    dtype = array.dtype
    if dtype.names is not None:
        if array.ndim == 0:
            return {name: _plain(np.asarray(array[name])) for name in dtype.names}
        return [_plain(np.asarray(item)) for item in array]
    if dtype.kind == "M":
        return _each(np.datetime_as_string(array).tolist(), lambda text: None if text == "NaT" else text)
    if dtype.kind == "m":
        return array.astype("int64").tolist()
    if dtype.kind == "S":
        return _each(array.tolist(), lambda data: data.decode("utf-8", "replace"))
    if dtype.kind == "f":
        return _each(array.tolist(), lambda number: number if np.isfinite(number) else None)
    return array.tolist()


def _each(value: Any, change: Any) -> Any:
    return [_each(item, change) for item in value] if isinstance(value, list) else change(value)
