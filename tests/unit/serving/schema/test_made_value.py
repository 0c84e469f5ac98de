"""A value of a schema that leaves much open looks like what most services take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mldeploy_jupyter.serving.schema.hints import type_from_hint
from mldeploy_jupyter.serving.schema.made_value import make_value


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (np.ndarray, [[1.5, 1.5]]),
        (pd.DataFrame, [{"column": 1.5}]),
        (dict, {"name": 1.5}),
        (dict[str, int], {"name": 1}),
        (list[dict[str, str]], [{"name": "text"}]),
        (list[float], [1.5]),
        (list[list[int]], [[1]]),
    ],
    ids=str,
)
def test_what_a_hint_leaves_open(hint: Any, value: Any) -> None:
    param_type = type_from_hint(hint)
    assert param_type is not None and make_value(param_type.schema()) == value
    param_type.parse(value, "data")


def test_a_long_array_is_not_made() -> None:
    with pytest.raises(ValueError, match="too long"):
        make_value({"type": "array", "minItems": 21, "items": {"type": "number"}})
