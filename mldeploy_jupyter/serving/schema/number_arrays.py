"""Lists of JSON values as arrays without a call for each value.

What is accepted here is what `scalars.py` accepts, with the same result; anything unusual is None, and the careful
way, which knows the place, takes over. A test compares the two.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import chain
from typing import Any

from .scalars import EXACT

_FEW = 64  # values; below, looking at each type costs less than looking at the extremes of the array

_NUMBERS = {int, float}

_NUMBERS_OR_NULL = {int, float, type(None)}

_TEXT = {str}

_LIST = {list}


def flatten(value: Any, sizes: Sequence[int]) -> list[Any] | None:
    """The items of nested lists, in order; `sizes` are the lengths of the levels below the first."""
    if type(value) is not list or not value:
        return None
    for size in sizes:
        if set(map(type, value)) != _LIST or set(map(len, value)) != {size}:
            return None
        value = list(chain.from_iterable(value))
    return value or None


def to_array(flat: list[Any], dtype: Any, numbers: bool = False) -> Any:
    """The values as an array of one dimension. `numbers`: the caller knows that there are no texts and booleans."""
    kind = dtype.kind
    if kind == "f":
        return _floats(flat, dtype, numbers)
    if kind in "iu":
        return _integers(flat, dtype, numbers)
    import numpy as np

    if kind == "b":
        return np.array(flat, dtype) if set(map(type, flat)) == {bool} else None
    if kind == "U":
        # Numpy drops NULs at the end.
        fits = set(map(type, flat)) == _TEXT and max(map(len, flat)) <= dtype.itemsize // 4
        return np.array(flat, dtype) if fits and "\0" not in "".join(flat) else None
    return None


def _floats(flat: list[Any], dtype: Any, numbers: bool) -> Any:
    import numpy as np

    kinds = None
    if not numbers or len(flat) <= _FEW:
        kinds = set(map(type, flat))
        if not kinds <= _NUMBERS_OR_NULL:
            return None
    result = _try(np.fromiter, flat, np.float64, len(flat))
    if result is None:
        return None
    if kinds is None or int in kinds or dtype.itemsize < 8:
        # fmax and fmin pass over NaN, which is null here.
        high, low = np.fmax.reduce(result), np.fmin.reduce(result)
        if (high >= EXACT or low <= -EXACT) and int in (kinds or set(map(type, flat))):
            return None
        if dtype.itemsize < 8:
            limit = float(np.finfo(dtype).max)
            if high > limit or low < -limit:
                return None
    return result if result.dtype == dtype else result.astype(dtype)


def _integers(flat: list[Any], dtype: Any, numbers: bool) -> Any:
    import numpy as np

    kinds = _NUMBERS if numbers else set(map(type, flat))
    if not kinds <= _NUMBERS:
        return None
    result = _try(lambda values: np.array(array("q", values)), flat)
    if result is None:
        fractions = _try(lambda values: np.array(array("d", values)), flat)  # refuses null
        if fractions is None or not (np.abs(fractions) < EXACT).all() or (np.floor(fractions) != fractions).any():
            return None
        result = fractions.astype(np.int64)
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
