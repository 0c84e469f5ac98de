"""Rows of several requests: counted, joined for one call of `run()`, and its result split again.

All of it is exact: a joined value has each request's rows unchanged, and each part of a split result is written as the
JSON that the request would have got alone. Whatever is not certain is None; such requests run alone.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any


def row_count(value: Any) -> int | None:
    """The length of axis 0 of an array, a data frame or series numbered from 0, or a list.

    None for a value whose rows cannot be joined, and for no rows: only `run()` itself knows what it returns for none.
    """
    if type(value) is list:
        return len(value) or None
    np, pd = sys.modules.get("numpy"), sys.modules.get("pandas")
    if np is not None and type(value) is np.ndarray:
        return (value.shape[0] or None) if value.ndim else None
    if pd is not None and isinstance(value, (pd.DataFrame, pd.Series)) and _is_numbered_from_0(pd, value):
        return len(value) or None
    return None


def join(values: Sequence[Any]) -> Any:
    """The rows of all values in order, as one value of their type: shapes `(n, d)` and `(m, d)` give `(n + m, d)`.

    None when that would change one of them.
    """
    first = values[0]
    cls = type(first)
    if any(type(value) is not cls for value in values):
        return None
    if cls is list:
        types = _leaf_types(first)
        if any(_leaf_types(value) != types for value in values[1:]):
            return None  # a text among numbers would change what numpy makes of all of them
        return [row for value in values for row in value]
    np, pd = sys.modules.get("numpy"), sys.modules.get("pandas")
    if np is not None and cls is np.ndarray:
        if any(value.dtype != first.dtype or value.shape[1:] != first.shape[1:] for value in values):
            return None
        joined = np.empty((sum(len(value) for value in values), *first.shape[1:]), first.dtype)
        return np.concatenate(values, out=joined)
    if pd is not None and isinstance(first, (pd.DataFrame, pd.Series)):
        return _join_frames(pd, values)
    return None


def _leaf_types(value: Any) -> set[type]:
    """The types of what lists and dicts have in the end."""
    items = value.values() if type(value) is dict else value
    types = set(map(type, items))
    for nested in types & {list, dict}:
        types.discard(nested)
        types.update(*(_leaf_types(item) for item in items if type(item) is nested))
    return types


def _join_frames(pd: Any, values: Sequence[Any]) -> Any:
    first = values[0]
    if not all(_is_numbered_from_0(pd, value) for value in values):
        return None
    if isinstance(first, pd.Series):
        same = all(value.dtype == first.dtype and value.name == first.name for value in values)
    else:
        dtypes = list(first.dtypes)
        same = all(value.columns.equals(first.columns) and list(value.dtypes) == dtypes for value in values)
    if not same:
        return None
    joined = pd.concat(values, ignore_index=True)
    unchanged = joined.dtype == first.dtype if isinstance(first, pd.Series) else list(joined.dtypes) == dtypes
    return joined if unchanged else None


def split(result: Any, counts: Sequence[int], *, layout_known: bool = False) -> list[Any] | None:
    """The result of `run()` for joined rows as one result for each request, of `counts` rows; None if that is unclear.

    Arrays, lists, and data frames and series numbered from 0 are cut along axis 0. Dicts and tuples are cut in each of
    their values, which must all be such and have all the rows. An ambiguous result (see `is_ambiguous`) is not split
    unless `layout_known`: another result of the same `run()` was not ambiguous, and was split.
    """
    if len(counts) == 1:
        return [result]
    total = sum(counts)
    if not layout_known and is_ambiguous(result, total):
        return None
    return _cut(result, total, list(pairwise(accumulate(counts, initial=0))))


_Cuts = list[tuple[int, int]]  # the first row of each part, and the row behind its last


def _cut(result: Any, total: int, cuts: _Cuts) -> list[Any] | None:
    if not isinstance(result, (dict, tuple)):
        return _cut_rows(result, total, cuts)
    if not result:
        return None
    columns = []
    for value in result.values() if isinstance(result, dict) else result:
        parts = _cut_rows(value, total, cuts)
        if parts is None:
            return None
        columns.append(parts)
    rows = zip(*columns, strict=True)
    return [dict(zip(result, row, strict=True)) if isinstance(result, dict) else row for row in rows]


def _cut_rows(result: Any, total: int, cuts: _Cuts) -> list[Any] | None:
    """The parts of a value of `total` rows; None for another value."""
    if isinstance(result, list):
        return [result[begin:end] for begin, end in cuts] if len(result) == total else None
    np, pd = sys.modules.get("numpy"), sys.modules.get("pandas")
    if np is not None and type(result) is np.ndarray:
        return [result[begin:end] for begin, end in cuts] if result.ndim and len(result) == total else None
    if pd is not None and isinstance(result, (pd.DataFrame, pd.Series)):
        # Another index means that rows were sorted, dropped or grouped, so that their requests are unknown.
        if len(result) != total or not _is_numbered_from_0(pd, result):
            return None
        return [result.iloc[begin:end].reset_index(drop=True) for begin, end in cuts]
    return None


def is_ambiguous(result: Any, total: int) -> bool:
    """Whether axis 0 might not be the rows: `total` values with `total` items each.

    Example: two joined rows give `[[1, 2], [3, 4]]`. That is either two scores for each row, to be split into
    `[[1, 2]]` and `[[3, 4]]`, or two lists with one score for each row, to be split into `[[1], [3]]` and `[[2], [4]]`.
    A dict with as many keys as there are rows is in doubt for the same reason.
    """
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


def _is_numbered_from_0(pd: Any, value: Any) -> bool:
    index = value.index
    return type(index) is pd.RangeIndex and index.start == 0 and index.step == 1 and index.name is None
