"""Values that are rows of requests: counted, joined for one call of `run()`, and its result split again.

Everything here is exact: a joined value has the rows unchanged, and a part of a split result is written as the
same JSON as if its request had been alone. What cannot be told for certain is None; such requests run alone.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any


def row_count(value: Any) -> int | None:
    """The rows of a parameter's value: an array, a data frame or series with plain numbering, a list.

    None: it has no rows that can be joined. Also for no rows at all: what `run()` says to nothing, it says alone.
    """
    if type(value) is list:
        return len(value) or None
    np, pd = sys.modules.get("numpy"), sys.modules.get("pandas")
    if np is not None and type(value) is np.ndarray:
        return (value.shape[0] or None) if value.ndim else None
    if pd is not None and isinstance(value, (pd.DataFrame, pd.Series)) and _plainly_numbered(pd, value):
        return len(value) or None
    return None


def join(values: Sequence[Any]) -> Any:
    """The rows of all values in order, as one value of their type. None when that would change one of them."""
    first = values[0]
    kind = type(first)
    if any(type(value) is not kind for value in values):
        return None
    if kind is list:
        return [row for value in values for row in value]
    np, pd = sys.modules.get("numpy"), sys.modules.get("pandas")
    if np is not None and kind is np.ndarray:
        if any(value.dtype != first.dtype or value.shape[1:] != first.shape[1:] for value in values):
            return None
        joined = np.empty((sum(len(value) for value in values), *first.shape[1:]), first.dtype)
        return np.concatenate(values, out=joined)
    if pd is not None and isinstance(first, (pd.DataFrame, pd.Series)):
        return _join_frames(pd, values)
    return None


def split(result: Any, counts: Sequence[int], *, layout_known: bool = False) -> list[Any] | None:
    """What `run()` returned for joined rows, as one result for each request; None when it cannot be split.

    Arrays, data frames and series with plain numbering, and lists are cut by rows; dicts and tuples, whose values
    must all be such and have as many rows as there are in all, by their values. A result that can be read in two
    ways (three rows of three scores, or three lists with one score a row) is not split, unless the caller is
    `layout_known`: because another result of the same `run()` was split, which had only one reading.
    """
    if len(counts) == 1:
        return [result]
    total = sum(counts)
    if not layout_known and is_ambiguous(result, total):
        return None
    cuts = list(pairwise(accumulate(counts, initial=0)))
    return _cut(result, total, cuts)


def _cut(result: Any, total: int, cuts: list[tuple[int, int]], inside: bool = False) -> list[Any] | None:
    if isinstance(result, list):
        return [result[begin:end] for begin, end in cuts] if len(result) == total else None
    if isinstance(result, (dict, tuple)):
        if inside or not result:
            return None
        values = list(result.values()) if isinstance(result, dict) else result
        columns = [_cut(value, total, cuts, inside=True) for value in values]
        if any(column is None for column in columns):
            return None
        parts = zip(*columns, strict=True)
        return [dict(zip(result, part, strict=True)) if isinstance(result, dict) else part for part in parts]
    np, pd = sys.modules.get("numpy"), sys.modules.get("pandas")
    if np is not None and type(result) is np.ndarray:
        return [result[begin:end] for begin, end in cuts] if result.ndim and len(result) == total else None
    if pd is not None and isinstance(result, (pd.DataFrame, pd.Series)):
        # Another numbering tells that rows were sorted, dropped or grouped: whose they are, nobody knows.
        if len(result) != total or not _plainly_numbered(pd, result):
            return None
        return [result.iloc[begin:end].reset_index(drop=True) for begin, end in cuts]
    return None


def is_ambiguous(result: Any, total: int) -> bool:
    """Whether rows and columns could be exchanged: as many values as rows, each with as many again."""
    if isinstance(result, (list, tuple)):
        return len(result) == total and all(_length(item) == total for item in result)
    if isinstance(result, dict):
        return len(result) == total or any(is_ambiguous(value, total) for value in result.values())
    if hasattr(result, "shape") and type(result).__module__ == "numpy":
        return len(result.shape) > 1 and result.shape[0] == result.shape[1] == total
    return False


def _length(value: Any) -> int | None:
    if isinstance(value, (list, tuple, dict)):
        return len(value)
    shape = getattr(value, "shape", None)
    return shape[0] if isinstance(shape, tuple) and shape else None


def _plainly_numbered(pd: Any, value: Any) -> bool:
    index = value.index
    return type(index) is pd.RangeIndex and index.start == 0 and index.step == 1 and index.name is None


def _join_frames(pd: Any, values: Sequence[Any]) -> Any:
    first = values[0]
    if not all(_plainly_numbered(pd, value) for value in values):
        return None
    if isinstance(first, pd.Series):
        same = all(value.dtype == first.dtype and value.name == first.name for value in values)
    else:
        dtypes = list(first.dtypes)
        same = all(value.columns.equals(first.columns) and list(value.dtypes) == dtypes for value in values)
    if not same:
        return None
    joined = pd.concat(values, ignore_index=True)
    kept = joined.dtype == first.dtype if isinstance(first, pd.Series) else list(joined.dtypes) == dtypes
    return joined if kept else None
