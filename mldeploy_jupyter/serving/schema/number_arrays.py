"""Lists of JSON values as numpy arrays in bulk, without a Python call for each value.

These functions accept only what `scalars.py` and `numpy_scalars.py` accept, with the same result. For anything
unusual they return None, and the conversion item by item, which knows the place of an error, decides. A test
compares the two.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import chain
from typing import Any

from .scalars import EXACT

_FEW = 64  # values; for fewer, a look at each type is cheaper than the minimum and maximum of the array

_NUMBERS = {int, float}

_NUMBERS_OR_NULL = {int, float, type(None)}

_TEXT = {str}

_LIST = {list}


def flatten(value: Any, item_shape: Sequence[int]) -> list[Any] | None:
    """The items of nested lists of shape `(n, *item_shape)`, in order. None for another shape, and for n = 0."""
    if type(value) is not list or not value:
        return None
    for length in item_shape:
        if set(map(type, value)) != _LIST or set(map(len, value)) != {length}:
            return None
        value = list(chain.from_iterable(value))
    return value or None


def to_array(flat: list[Any], dtype: Any, only_numbers: bool = False) -> Any:
    """The values as an array of shape `(n,)`; None when one is unusual.

    `only_numbers`: the caller knows that there are only numbers and null.
    """
    kind = dtype.kind
    if kind == "f":
        return _to_floats(flat, dtype, only_numbers)
    if kind in "iu":
        return _to_integers(flat, dtype, only_numbers)
    import numpy as np

    if kind == "b":
        return np.array(flat, dtype) if set(map(type, flat)) == {bool} else None
    if kind == "U":
        # A NUL anywhere is left to the slow way: numpy drops those at the end.
        fits = set(map(type, flat)) == _TEXT and max(map(len, flat)) <= dtype.itemsize // 4
        return np.array(flat, dtype) if fits and "\0" not in "".join(flat) else None
    return None


def _to_floats(flat: list[Any], dtype: Any, only_numbers: bool) -> Any:
    import numpy as np

    types = None
    if not only_numbers or len(flat) <= _FEW:
        types = set(map(type, flat))
        if not types <= _NUMBERS_OR_NULL:
            return None
    result = _try(np.fromiter, flat, np.float64, len(flat))
    if result is None:
        return None
    # Two checks need the extremes: integers that a double cannot represent, and the range of a shorter float.
    if types is None or int in types or dtype.itemsize < 8:
        high, low = np.fmax.reduce(result), np.fmin.reduce(result)  # these skip NaN, which is null here
        if (high >= EXACT or low <= -EXACT) and int in (types or set(map(type, flat))):
            return None
        if dtype.itemsize < 8:
            limit = float(np.finfo(dtype).max)
            if high > limit or low < -limit:
                return None
    return result if result.dtype == dtype else result.astype(dtype)


def _to_integers(flat: list[Any], dtype: Any, only_numbers: bool) -> Any:
    import numpy as np

    types = _NUMBERS if only_numbers else set(map(type, flat))
    if not types <= _NUMBERS:
        return None
    result = _try(lambda values: np.array(array("q", values)), flat)
    if result is None:  # perhaps whole numbers written as floats; null is refused here
        floats = _try(lambda values: np.array(array("d", values)), flat)
        if floats is None or not (np.abs(floats) < EXACT).all() or (np.floor(floats) != floats).any():
            return None
        result = floats.astype(np.int64)
    if dtype.itemsize < 8 or dtype.kind == "u":
        info = np.iinfo(dtype)
        if result.max() > info.max or result.min() < info.min:
            return None
    return result if result.dtype == dtype else result.astype(dtype)


def _try(make: Any, *arguments: Any) -> Any:
    try:
        return make(*arguments)
    except (TypeError, ValueError, OverflowError):
        return None
