"""Results as strict JSON."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.serving.scoring.json_encoder import NotJson, encode, to_plain

Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1, 1),
        ("ü\n", "ü\n"),
        ([1, (2, 3)], [1, [2, 3]]),
        (Pair(1, 2), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        ({2: "a", None: "b", True: "c"}, {"2": "a", "true": "c", "null": "b"}),
        (2**80, 2**80),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.array(3), 3),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (np.array(["a"]), ["a"]),
        (np.array([1.5, 2.0], dtype="f4"), [1.5, 2.0]),
        ({"p": np.array([0.5])}, {"p": [0.5]}),
        ([np.datetime64("2020-01-02")], ["2020-01-02"]),
        (np.float64(2.5), 2.5),
        (np.array([(1, 2.5)], dtype=[("a", int), ("b", float)]), [{"a": 1, "b": 2.5}]),
        (np.array([None, "x"], dtype=object), [None, "x"]),
        (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        (pd.Series([1.5, 2.5]), [1.5, 2.5]),
        (pd.Index(["a"]), ["a"]),
        (pd.NaT, None),
        (pd.NA, None),
        (pd.Timestamp("2020-01-02"), "2020-01-02T00:00:00"),
        (pd.Timedelta("1D"), "P1DT0H0M0S"),
        (dt.date(2020, 1, 2), "2020-01-02"),
        (pd.Series(["a", "b"], dtype="category"), ["a", "b"]),
        (pd.array([1, None], dtype="Int64"), [1, None]),
        (-0.0, -0.0),
        (np.array([True, False]), [True, False]),
        ({np.int64(3): 1}, {"3": 1}),
        (float("1e308"), 1e308),
    ],
)
def test_results_are_written_as_json(value: Any, expected: Any) -> None:
    assert json.loads(encode(value)) == expected


@pytest.mark.parametrize(
    ("value", "where", "words"),
    [
        (float("nan"), "", "NaN"),
        ([1, float("inf")], "[1]", "infinity"),
        ({"a": [{"score": float("nan")}]}, "a[0].score", "NaN"),
        ([{}, {}, {"score": np.float64("nan")}], "[2].score", "NaN"),
        (np.array([[1.0, np.nan]]), "[0][1]", "NaN"),
        (pd.DataFrame({"x": [1.0, np.nan]}), "[1].x", "NaN"),
        (b"x", "", "type bytes"),
        ([{1, 2}], "[0]", "type set"),
        ({"g": (n for n in [1])}, "g", "type generator"),
        ([object()], "[0]", "type object"),
        ({(1, 2): 3}, "", "key of type tuple"),
        ([1j], "[0]", "type complex"),
        ([np.complex128(1)], "[0]", "complex128"),
        ([Exception], "[0]", "type type"),
    ],
)
def test_a_value_without_a_form_in_json_is_refused_with_its_place(value: Any, where: str, words: str) -> None:
    with pytest.raises(NotJson) as caught:
        encode(value)
    assert caught.value.where == where
    assert words in str(caught.value)
    assert caught.value.hint


def test_a_result_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(NotJson, match="contains itself"):
        encode(loop)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)))
def test_plain_values_survive_a_round_trip(value: Any) -> None:
    assert json.loads(encode(value)) == value


def test_a_uuid_is_refused_although_orjson_writes_it() -> None:
    with pytest.raises(NotJson, match=r"uuid\.UUID"):
        encode({"id": uuid.uuid4()})


VALUES = (
    st.integers(-(2**63), 2**64 - 1)
    | st.none()
    | st.booleans()
    | TEXT
    | st.floats()
    | st.just("null")
    | st.builds(np.float64, st.floats())
    | st.builds(np.array, st.lists(st.floats() | st.integers(-9, 9), max_size=4))
    | st.builds(lambda x: np.array(x, dtype="f4"), st.lists(st.floats(width=32), max_size=3))
    | st.sampled_from(
        [uuid.UUID(int=1), dt.date(2020, 1, 2), np.array(["a"]), np.datetime64("2020"), pd.NaT, Pair(1, 2)]
    )
)


@given(
    st.recursive(
        VALUES, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner) | st.tuples(inner, inner), max_leaves=12
    )
)
def test_orjson_alone_writes_what_the_slow_way_does(value: Any) -> None:
    try:
        expected: Any = orjson.dumps(to_plain(value, "", 0))
    except NotJson as error:
        expected = (error.where, error.text)
    try:
        found: Any = encode(value)
    except NotJson as error:
        found = (error.where, error.text)
    assert found == expected


@given(
    st.lists(st.floats(allow_infinity=False), max_size=5), st.sampled_from(["a", 1, ("a", "b"), "nul"]), st.booleans()
)
def test_frames_are_written_as_their_records(cells: list[float], name: Any, mixed: bool) -> None:
    frame = pd.DataFrame({name: cells, "text": ["null"] * len(cells)})
    if mixed:
        frame["more"] = pd.Series([1] * len(cells), dtype=object)
    try:
        expected: Any = orjson.dumps(to_plain(frame.to_dict(orient="records"), "", 0))
    except NotJson as error:
        expected = (error.where, error.text)
    try:
        found: Any = encode(frame)
    except NotJson as error:
        found = (error.where, error.text)
    assert found == expected
