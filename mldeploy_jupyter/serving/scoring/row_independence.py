"""Whether `run()` gives a row the same result whatever rows stand beside it. Only then may requests share a call."""

from __future__ import annotations

import math
import sys
from typing import Any

import orjson

from .messages import Request, Response
from .rows import join, row_count, split
from .scorer import Scorer

NEAR = 1e-5  # relative; arithmetic on more rows may take another order, and round otherwise

SMALL = 1e-8


def batching_refusal(scorer: Scorer, body: bytes, alone: Response) -> str:
    """Why the sample's rows cannot share a call with others; "" when they can. Calls `run()` once or twice more.

    The company differs from the sample where it can (other numbers in columns of floats), so that a `run()` that
    scales or ranks by what it gets is found out.
    """
    if not scorer.script.batchable:
        return "run() must have one parameter that is made of rows: an array, a data frame or a list, by sample or hint"
    request = Request(headers={"content-type": "application/json"}, body=body, id="sample")
    arguments = scorer.parse_arguments(request)
    ((name, value),) = arguments.items()
    rows = row_count(value)
    if not rows:
        return "the sample has no rows that can be joined with others"
    told = orjson.loads(alone.body)
    if not any(isinstance(part, list) and len(part) == rows for part in (told, *_values(told))):
        return "run() does not return one result for each row"
    reason = ""
    for company in (_other(value), value):
        joined = join([company, value, company])
        if joined is None:
            return "rows of this type cannot be joined without changing them"
        counts = [rows, rows, rows]
        try:
            result = scorer.script.run(**{name: joined})
        except (Exception, SystemExit) as error:
            reason = f"run() fails on the rows of several requests: {type(error).__name__}: {error}"
            continue  # perhaps it was the other numbers
        parts = split(result, counts) or split(result, counts, layout_known=True)
        if parts is None:
            return "run() does not return one result for each row"
        together = scorer.build_response(parts[1], request)
        if together.status != 200 or not _near(told, orjson.loads(together.body)):
            return "the result of a row depends on the other rows of the same call"
        return ""
    return reason


def _values(told: Any) -> list[Any]:
    return list(told.values()) if isinstance(told, dict) else told if isinstance(told, list) else []


def _other(value: Any) -> Any:
    """As many rows with other numbers, where numbers can be others."""
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


def _near(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=NEAR, abs_tol=SMALL)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_near, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_near(one[key], other[key]) for key in one)
    return bool(one == other)
