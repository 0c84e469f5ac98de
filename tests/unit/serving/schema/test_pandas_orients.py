"""Tables read in bulk are those read row by row, in every orient."""

from __future__ import annotations

from typing import Any

import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mldeploy_jupyter.serving.schema.base import ValidationError
from mldeploy_jupyter.serving.schema.pandas_orients import ORIENTS
from mldeploy_jupyter.serving.schema.pandas_type import PandasParameterType
from tests.unit.serving.schema.test_number_arrays import ANYTHING, NUMBERS, SCALARS, WHOLE

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
def test_frames_in_bulk_are_those_made_row_by_row(orient: str, data: st.DataObject) -> None:
    kind = PandasParameterType(data.draw(st.sampled_from(SAMPLES)), orient=orient)
    parts = st.sampled_from(["columns", "index", "data", "schema", "primaryKey"])
    described = st.dictionaries(parts, ANYTHING | st.dictionaries(parts, ANYTHING))
    value = orjson.loads(orjson.dumps(data.draw(tables(orient) | ANYTHING | described)))
    bulk = kind.parse_bulk(value, False)
    try:
        expected = kind.parse_items(value, "data")
    except ValidationError as error:
        assert bulk is None and error.where.startswith("data")
        return
    if bulk is not None:
        pd.testing.assert_frame_equal(bulk, expected, check_exact=True)
        assert list(bulk.index) == list(expected.index)


@pytest.mark.parametrize("orient", [orient for orient in ORIENTS if orient != "table"])
def test_usual_tables_are_read_in_bulk(orient: str) -> None:
    for sample in SAMPLES[:3]:
        kind = PandasParameterType(sample, orient=orient)
        assert kind.parse_bulk(kind.dump(), False) is not None
