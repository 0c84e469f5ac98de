"""Nested lists as numpy arrays item by item, with the place of an item that does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .base import ValidationError, json_type
from .scalars import Convert, to_float, to_str

MAX_NDIM = 32  # dimensions of an array, in every version of numpy


def ndim_of(value: Any) -> int:
    """How deep lists are nested, by the first item of each."""
    ndim = 0
    while isinstance(value, list):
        ndim += 1
        if not value:
            break
        value = value[0]
    return ndim


def shape_of(value: Any, ndim: int) -> list[int]:
    """The lengths of the first `ndim` axes, by the first item of each list; 0 where there is no list."""
    shape = []
    for _ in range(ndim):
        shape.append(len(value) if isinstance(value, list) else 0)
        value = value[0] if isinstance(value, list) and value else None
    return shape


def check_ndim(shape: Sequence[int], where: str) -> None:
    """Raises `ValidationError` for more dimensions than an array can have."""
    if len(shape) > MAX_NDIM:
        text = f"lists are nested {len(shape)} levels deep; an array has {MAX_NDIM} at most"
        raise ValidationError(where, text)


def convert_items(value: Any, where: str, shape: Sequence[int], convert: Convert) -> list[Any]:
    """The converted items of nested lists of `shape`, in order. Raises `ValidationError` for another shape."""
    items: list[Any] = []
    _convert_axis(value, where, 0, shape, convert, items)
    return items


def _convert_axis(value: Any, where: str, axis: int, shape: Sequence[int], convert: Convert, items: list[Any]) -> None:
    if axis == len(shape):
        items.append(convert(value, where))
        return
    if not isinstance(value, list):
        raise ValidationError(where, f"expected {shape_words(shape)}, got {json_type(value)}")
    if len(value) != shape[axis]:
        raise ValidationError(where, f"expected {shape[axis]} values, got {len(value)}")
    for index, item in enumerate(value):
        _convert_axis(item, f"{where}[{index}]", axis + 1, shape, convert, items)


def fill_array(flat: list[Any], shape: Sequence[int], dtype: Any) -> Any:
    """Converted values as an array of `shape` and `dtype`."""
    import numpy as np

    result = np.empty(len(flat), dtype=dtype)
    if dtype.kind == "O":
        for position, item in enumerate(flat):
            result[position] = item
    elif flat:
        result[:] = flat
    return result.reshape(shape)


def infer_array(flat: list[Any], shape: Sequence[int], where: str, lossy: bool = False) -> Any:
    """Values as an array of the dtype that numpy infers for them.

    Raises `ValidationError` when that dtype would change one of them, unless `lossy`.
    """
    import numpy as np

    types = set(map(type, flat))
    large = types == {int} and 2**63 <= max(flat) < 2**64
    if large and min(flat) >= 0:
        return fill_array(flat, shape, np.dtype("u8"))
    if not lossy and (len(types) > 1 or str in types or large):
        for position, item in enumerate(flat):
            indices = np.unravel_index(position, tuple(shape) or (1,))[: len(shape)]
            _check_unchanged(item, where + "".join(f"[{index}]" for index in indices), types, large)
    try:
        if dict in types:
            return fill_array(flat, shape, np.dtype(object))
        return np.array(flat).reshape(shape)
    except ValueError as error:
        raise ValidationError(where, str(error)) from error


def _check_unchanged(item: Any, where: str, types: set[type], large: bool) -> None:
    """Raises `ValidationError` when the common dtype of `types` changes `item`: numbers beside strings become strings.

    `large`: negative integers beside some above int64, for which numpy has only doubles.
    """
    if type(item) is str:
        to_str(item, where, len(item))
    if list in types and type(item) is list:
        raise ValidationError(where, "expected a value, got a list")
    if str in types and type(item) is not str and item is not None:
        raise ValidationError(where, f"expected a string, as elsewhere in the data, got {json_type(item)}")
    if bool in types and type(item) in (int, float):
        raise ValidationError(where, f"expected true or false, as elsewhere in the data, got {json_type(item)}")
    if (float in types or large) and type(item) is int:
        to_float(item, where, "float64")


def shape_words(shape: Sequence[int]) -> str:
    """A shape in words: `(n, 3)` is "a list of rows of 3 values"."""
    if not shape:
        return "a single value"
    if len(shape) == 1:
        return "a list of values"
    return f"a list of rows of {' x '.join(map(str, shape[1:]))} values"


def item_schema(dtype: Any) -> dict[str, Any]:
    """JSON Schema of one item of `dtype`."""
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
    return {"m": {"type": "integer"}, "S": {"type": "string"}}.get(kind, {})
