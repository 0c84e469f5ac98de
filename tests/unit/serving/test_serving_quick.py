"""The quick way from JSON to arrays and frames accepts what the careful way accepts, with the same result."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mldeploy_jupyter.serving.schema.base import ValidationError
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType
from mldeploy_jupyter.serving.schema.pandas_orients import ORIENTS
from mldeploy_jupyter.serving.schema.pandas_type import PandasParameterType

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
def test_arrays_are_the_same_both_ways(kind: NumpyParameterType, value: Any) -> None:
    value = orjson.loads(orjson.dumps(value))
    body = orjson.dumps(value)
    for known in {only_numbers(body), False}:
        quick = kind.parse_bulk(value, known)
        if quick is None:
            continue
        careful = kind.parse_items(value, "data")
        assert same(quick, careful)
        assert quick.flags.writeable


def test_the_usual_data_goes_the_quick_way() -> None:
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


@given(value=ANYTHING)
@example(value=[0, 2**63 + 1])  # numpy would make doubles of them
@example(value=[-1, 2**63 + 1])
@example(value=[-1, 2**63])
def test_arrays_without_enforcement_change_no_value(value: Any) -> None:
    value = orjson.loads(orjson.dumps(value))
    kind = NumpyParameterType(np.ones((1, 2)), enforce_column_type=False, enforce_shape=False)
    try:
        result = kind.parse(value, "data")
    except ValidationError as misfit:
        assert misfit.where.startswith("data")
    else:
        assert result.tolist() == value or result.size == 0


SAMPLES = [
    pd.DataFrame({"a": [1.5], "b": [2.5]}),
    pd.DataFrame({"a": [1], "b": ["x"]}),
    pd.DataFrame({"a": pd.Series(["x"], dtype=object), "b": pd.Series([True])}),
    pd.DataFrame({"a": pd.Series([1], dtype="Int64"), "b": pd.to_datetime(["2020-01-01"])}),
    pd.DataFrame({"a": pd.Series(["x", "y"], dtype="category"), "b": pd.Series([1, 2], dtype="u1")}),
    pd.DataFrame({"a": pd.Series([1], dtype="f4"), "b": pd.Series([None], dtype=object)}),
]
CELLS = [NUMBERS, WHOLE, st.integers(0, 9), st.booleans(), st.sampled_from(["x", "y", "2021-02-03", None]), SCALARS]
NAMES = st.permutations(["a", "b"]) | st.sampled_from([["a"], ["a", "b", "c"], ["b", "c"], []])


@st.composite
def tables(draw: Any, orient: str) -> Any:
    """Rows in an orient; now and then with a wrong column, cell or shape."""
    names = draw(NAMES)
    columns = [draw(st.sampled_from(CELLS)) for _ in names]
    rows = [[draw(cell) for cell in columns] for _ in range(draw(st.integers(0, 4)))]
    keys = draw(st.permutations([f"r{number}" for number in range(len(rows))]))
    records = [dict(zip(names, row, strict=True)) for row in rows]
    if orient == "records":
        return records
    if orient == "values":
        return rows
    if orient == "split":
        index = draw(st.sampled_from([{}, {"index": list(keys)}, {"index": [1]}, {"index": None}]))
        return {"columns": names, "data": rows, **index}
    if orient == "index":
        return dict(zip(keys, records, strict=True))
    if orient == "table":
        return {"data": records}
    return {name: {key: row[at] for key, row in zip(keys, rows, strict=True)} for at, name in enumerate(names)}


@pytest.mark.parametrize("orient", ORIENTS)
@settings(max_examples=150)
@given(data=st.data())
def test_frames_are_the_same_both_ways(orient: str, data: st.DataObject) -> None:
    kind = PandasParameterType(data.draw(st.sampled_from(SAMPLES)), orient=orient)
    parts = st.sampled_from(["columns", "index", "data", "schema", "primaryKey"])
    described = st.dictionaries(parts, ANYTHING | st.dictionaries(parts, ANYTHING))
    value = orjson.loads(orjson.dumps(data.draw(tables(orient) | ANYTHING | described)))
    quick = kind.parse_bulk(value, False)
    try:
        careful = kind.parse_items(value, "data")
    except ValidationError as misfit:
        assert quick is None and misfit.where.startswith("data")
        return
    if quick is not None:
        pd.testing.assert_frame_equal(quick, careful, check_exact=True)
        assert list(quick.index) == list(careful.index)


@pytest.mark.parametrize("orient", [orient for orient in ORIENTS if orient != "table"])
def test_the_usual_tables_go_the_quick_way(orient: str) -> None:
    for sample in SAMPLES[:3]:
        kind = PandasParameterType(sample, orient=orient)
        assert kind.parse_bulk(kind.dump(), False) is not None
