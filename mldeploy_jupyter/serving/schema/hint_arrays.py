"""Hints of numpy: `np.ndarray`, `NDArray[np.float32]`, `np.float32`.

Without a sample the data decides the shape. An array gets the hint's dtype; without one, doubles where that loses
nothing, and otherwise the dtype that numpy infers.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable
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
)
from .base import HintNode, UnknownHint, ValidationError, json_type
from .number_arrays import flatten, to_array
from .numpy_scalars import converter
from .scalars import to_float, to_str


def array_node(hint: Any, origin: Any, arguments: tuple[Any, ...]) -> HintNode | None:
    """The node of a numpy hint; None for another hint. Raises `UnknownHint` for a dtype without a form in JSON."""
    np = sys.modules.get("numpy")
    if np is None:
        return None
    try:
        if np.ndarray in (hint, origin):
            return _array_node(np, _dtype_of(np, arguments))
        if isinstance(hint, type) and issubclass(hint, np.generic):
            dtype = _concrete_dtype(np, hint)
            return None if dtype is None else _scalar_node(np, dtype)
    except TypeError as error:
        raise UnknownHint(f"{hint}: {error}") from error
    return None


def _dtype_of(np: Any, arguments: tuple[Any, ...]) -> Any:
    """The dtype in `np.ndarray[shape, np.dtype[scalar]]`, which `NDArray[scalar]` is short for."""
    inner = typing.get_args(arguments[1]) if len(arguments) > 1 else ()
    return _concrete_dtype(np, inner[0]) if inner and isinstance(inner[0], type) else None


def _concrete_dtype(np: Any, scalar: type) -> Any:
    """The dtype of a scalar type; None for an abstract one such as `np.floating`."""
    if not issubclass(scalar, np.generic) or scalar.__subclasses__():
        return None
    if scalar is np.datetime64:
        return np.dtype("datetime64[us]")  # Python's own precision
    if scalar is np.timedelta64:
        raise TypeError("a duration needs a unit, which the hint has not")
    return np.dtype(scalar)


def _array_node(np: Any, dtype: Any) -> HintNode:
    if dtype is None:
        item: dict[str, Any] = {"type": ["number", "null"]}
        convert: Callable[[Any, str], Any] = _to_number
    else:
        item, convert = _item_schema(dtype), _item_converter(dtype)
    any_width = dtype is not None and dtype.itemsize == 0  # np.str_: strings of any length

    def parse_bulk(value: Any, only_numbers: bool) -> Any:
        row_shape = shape_of(value, ndim_of(value))[1:]
        flat = flatten(value, row_shape)
        if flat is None or len(row_shape) >= MAX_NDIM or any_width:
            return None
        result = to_array(flat, dtype or np.dtype("float64"), only_numbers)
        return result if result is None or not row_shape else result.reshape(-1, *row_shape)

    def parse(value: Any, where: str) -> Any:
        shape = shape_of(value, ndim_of(value))
        check_ndim(shape, where)
        flat = convert_items(value, where, shape, convert)
        if any_width:
            return np.array(flat, dtype=dtype).reshape(shape)
        if dtype is not None:
            return fill_array(flat, shape, dtype)
        try:
            return fill_array([to_float(one, where, "float64") for one in flat], shape, np.dtype("float64"))
        except ValidationError:
            return infer_array(flat, shape, where)

    def accepts_result(value: Any) -> bool:
        if not isinstance(value, np.ndarray):
            return False
        return value.dtype.kind in "iuf" if dtype is None else bool(np.can_cast(value.dtype, dtype))

    nested = {"type": "array", "items": {"anyOf": [item, {"type": "array", "items": {}}]} if item else {}}
    schema = {**nested, "x-format": "numpy.ndarray"}
    return HintNode(parse, schema, has_rows=True, parse_bulk=parse_bulk, accepts_result=accepts_result)


def _scalar_node(np: Any, dtype: Any) -> HintNode:
    convert = _item_converter(dtype)
    return HintNode(lambda value, where: np.array(convert(value, where), dtype=dtype)[()], _item_schema(dtype))


def _item_converter(dtype: Any) -> Callable[[Any, str], Any]:
    if dtype.kind == "U":
        return lambda value, where: to_str(value, where, len(value) if type(value) is str else None)
    if dtype.kind in "SV":
        raise TypeError(f"a type of {dtype} has no form in JSON")
    return converter(dtype)


def _item_schema(dtype: Any) -> dict[str, Any]:
    return {"type": "string"} if dtype.kind == "U" else item_schema(dtype)


def _to_number(value: Any, where: str) -> Any:
    if type(value) in (int, float):
        return value
    if value is None:
        return float("nan")
    raise ValidationError(where, f"expected a number, got {json_type(value)}")
