"""Tests whether `run()` treats rows independently, a precondition for batching requests."""

from __future__ import annotations

import math
import sys
from time import perf_counter
from typing import Any

import orjson

from .messages import Request, Response
from .rows import join, row_count, split
from .scorer import Scorer

# Results this close are equal: arithmetic on more rows may take another order, and round differently.
REL_TOL = 1e-5

ABS_TOL = 1e-8


def batching_refusal(scorer: Scorer, body: bytes, alone: Response) -> str:
    """Why requests cannot be batched; "" when they can. `alone` is the response to the sample `body` by itself.

    The sample's rows are scored again between other rows, which must not change their results. The others are the
    sample's rows in reverse order, with other numbers in columns of floats. Example: for the rows `[1.0]`, `[3.0]` a
    `run()` that returns `(x - x.mean()).tolist()` gives `[[-1.0], [1.0]]` alone and something else beside `[4.25]`,
    `[1.75]`; one that returns `(2 * x).tolist()` gives the same both times. Calls `run()` once, or twice if it fails on
    the other numbers, which its model may not know. Raises nothing of the script's.
    """
    if not scorer.script.batchable:
        return "run() must have one parameter that is made of rows: an array, a data frame or a list, by sample or hint"
    request = Request(headers={"content-type": "application/json"}, body=body, id="sample")
    arguments = scorer.parse_arguments(request, perf_counter())
    ((name, value),) = arguments.items()
    rows = row_count(value)
    if not rows:
        return "the sample has no rows that can be joined with others"
    expected = orjson.loads(alone.body)
    if not any(isinstance(part, list) and len(part) == rows for part in (expected, *_values(expected))):
        return "run() does not return one result for each row"
    refusal = ""
    for other in (_other_rows(value), value):
        joined = join([other, value, other])
        if joined is None:
            return "rows of this type cannot be joined without changing them"
        counts = [rows, rows, rows]
        try:
            result = scorer.script.run(**{name: joined})
        except (Exception, SystemExit) as error:
            refusal = f"run() fails on the rows of several requests: {type(error).__name__}: {error}"
            continue  # perhaps because of the other numbers
        parts = split(result, counts) or split(result, counts, layout_known=True)
        if parts is None:
            return "run() does not return one result for each row"
        batched = scorer.build_response(parts[1], request)
        if batched.status != 200 or not _is_close(expected, orjson.loads(batched.body)):
            return "the result of a row depends on the other rows of the same call"
        return ""
    return refusal


def _values(data: Any) -> list[Any]:
    return list(data.values()) if isinstance(data, dict) else data if isinstance(data, list) else []


def _other_rows(value: Any) -> Any:
    """As many rows in reverse order, with other numbers where a column has floats."""
    np, pd = sys.modules.get("numpy"), sys.modules.get("pandas")
    if np is not None and isinstance(value, np.ndarray):
        return (value[::-1] * 1.25 + 0.5).astype(value.dtype) if value.dtype.kind == "f" else value[::-1].copy()
    if pd is not None and isinstance(value, pd.DataFrame):
        changed = value.iloc[::-1].reset_index(drop=True)
        for position, dtype in enumerate(changed.dtypes):
            if getattr(dtype, "kind", "") == "f":
                changed.isetitem(position, (changed.iloc[:, position] * 1.25 + 0.5).astype(dtype))
        return changed
    return value[::-1] if isinstance(value, list) else value


def _is_close(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, except for the rounding of numbers."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=REL_TOL, abs_tol=ABS_TOL)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_close, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_close(one[key], other[key]) for key in one)
    return bool(one == other)
