"""Answers and events as JSON text, whatever is in them."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson


def to_json_text(data: Any) -> str:
    """The data as JSON, for a page's `JSON.parse`: lone surrogates survive, NaN and infinity become null."""
    try:
        return orjson.dumps(data, default=str).decode()
    except TypeError:  # a lone surrogate, or a number of more than 64 bits
        pass
    try:
        return json.dumps(data, allow_nan=False, default=str)
    except ValueError:
        return json.dumps(_without_nan(data), default=str)


def _without_nan(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_nan(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
