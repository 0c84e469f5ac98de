"""Conversion in bulk accepts only what conversion item by item accepts, with the same result."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType

EDGES = [0, -1, 255, 256, 2**31, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)]
NUMBERS = st.sampled_from(EDGES) | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
WHOLE = st.integers(-300, 300).map(float) | st.integers(-300, 300)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.just("a\0") | st.just("1.5")
SCALARS = NUMBERS | WHOLE | st.none() | st.booleans() | TEXT
ROWS = st.one_of(
    *(
        st.lists(st.lists(item, min_size=2, max_size=2), min_size=1, max_size=80)
        for item in (NUMBERS, WHOLE, st.integers(0, 9), st.booleans(), TEXT, NUMBERS | st.none())
    )
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=20
)
BODIES = ROWS | ANYTHING | st.lists(st.lists(SCALARS, min_size=2, max_size=2), max_size=70)

ARRAYS = [
    NumpyParameterType(np.ones((1, 2), dtype), enforce_shape=shaped)
    for dtype in ("f8", "f4", "f2", "i8", "i4", "u1", "u8", "?", "U3")
    for shaped in (True, False)
]


def only_numbers(body: bytes) -> bool:
    return not any(mark in body for mark in (b'"', b"true", b"false"))


def same(first: Any, second: Any) -> bool:
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


@pytest.mark.parametrize("kind", ARRAYS, ids=lambda kind: f"{kind.sample_input.dtype}-{kind.enforce_shape}")
@settings(max_examples=150)
@given(value=BODIES)
def test_arrays_in_bulk_are_those_made_item_by_item(kind: NumpyParameterType, value: Any) -> None:
    value = orjson.loads(orjson.dumps(value))
    body = orjson.dumps(value)
    for known in {only_numbers(body), False}:
        bulk = kind.parse_bulk(value, known)
        if bulk is None:
            continue
        expected = kind.parse_items(value, "data")
        assert same(bulk, expected)
        assert bulk.flags.writeable


def test_usual_data_is_converted_in_bulk() -> None:
    rows = [[1.5, 2.0], [3.0, 4.5]] * 100
    for dtype, data in (
        ("f8", rows),
        ("f4", rows),
        ("f8", [[1, 2.5], [None, 1e10]]),
        ("i8", [[1, 2], [3, -4]]),
        ("i4", [[1.0, 2.0]] * 100),
        ("?", [[True, False]]),
        ("U3", [["a", "abc"]]),
    ):
        kind = NumpyParameterType(np.ones((1, 2), dtype))
        assert kind.parse_bulk(data, only_numbers(orjson.dumps(data))) is not None
