"""Rows of several requests: joined unchanged, and results split as if each request had been alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.serving.json_encoder import encode
from mldeploy_jupyter.serving.scoring.rows import is_ambiguous, join, row_count, split

COUNTS = st.lists(st.integers(1, 4), min_size=2, max_size=5)
DTYPES = ["f8", "f4", "i8", "u1", "?", "U3", "M8[s]", "O", np.dtype([("a", "i1"), ("b", "f8")], align=True)]

# Each makes a result of `run()` that treats every row by itself.
MODELS: dict[str, Any] = {
    "vector": lambda rows: rows.sum(axis=1),
    "matrix": lambda rows: np.stack([rows[:, 0], -rows[:, 0], rows[:, 1]], axis=1),
    "list": lambda rows: rows[:, 0].tolist(),
    "nested list": lambda rows: rows.tolist(),
    "objects": lambda rows: [{"score": score, "label": str(score)} for score in rows[:, 0].tolist()],
    "columns": lambda rows: {"score": rows[:, 0], "label": rows[:, 1].astype(str).tolist(), "again": rows},
    "pair": lambda rows: (rows[:, 0], rows[:, 1].tolist()),
    "frame": lambda rows: pd.DataFrame(rows, columns=["a", "b"]).assign(t="x"),
    "series": lambda rows: pd.Series(rows[:, 0]),
}


@pytest.mark.parametrize("name", MODELS)
@given(counts=COUNTS, seed=st.integers(0, 99))
def test_each_part_is_what_its_request_would_get_alone(name: str, counts: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    requests = [generator.integers(-9, 9, (count, 2)) / 2 for count in counts]
    joined = join(requests)
    np.testing.assert_array_equal(joined, np.concatenate(requests))
    parts = split(MODELS[name](joined), counts, layout_known=True)
    assert parts is not None
    assert [encode(part) for part in parts] == [encode(MODELS[name](request)) for request in requests]


@given(counts=COUNTS)
def test_an_ambiguous_result_is_not_split(counts: list[int]) -> None:
    requests = [np.arange(2.0 * count).reshape(count, 2) for count in counts]
    joined = np.concatenate(requests)
    # Neither is row by row in its first axis: what a total of two or three rows makes look so, is not split.
    for model in (
        lambda rows: [rows[:, 0].tolist(), rows[:, 1].tolist()],
        lambda rows: np.stack([rows[:, 0], rows[:, 1], rows[:, 0]]),
        lambda rows: {str(number): row.tolist() for number, row in enumerate(rows)},
    ):
        parts = split(model(joined), counts)
        assert parts is None
    rowwise = split(joined, counts)
    assert (rowwise is None) == (sum(counts) == 2)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_joined_arrays_keep_their_dtype(dtype: Any) -> None:
    one, two = np.zeros(2, dtype), np.ones(1, dtype)
    joined = join([one, two])
    assert joined.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(joined, np.array([*one, *two], dtype=dtype))


FRAME = pd.DataFrame(
    {
        "n": [1, 2],
        "x": [None, 1.5],
        "s": ["a", None],
        "c": pd.Series(["u", "v"], dtype="category"),
        "i": pd.array([1, None], dtype="Int64"),
        "t": pd.to_datetime(["2020-01-01", None]),
    }
)


def test_joined_frames_keep_their_dtypes_and_are_numbered_from_0() -> None:
    parts = [FRAME, FRAME.iloc[:1], FRAME.iloc[1:].reset_index(drop=True)]
    joined = join(parts)
    assert (joined.dtypes == FRAME.dtypes).all() and list(joined.index) == [0, 1, 2, 3]
    split_again = split(joined, [2, 1, 1])
    assert split_again is not None
    for part, expected in zip(split_again, parts, strict=True):
        pd.testing.assert_frame_equal(part, expected)
    assert join([FRAME["s"], FRAME["s"]]).tolist()[2] == "a"
    assert join([[1, None], [{"a": 2}, [None]]]) == [1, None, {"a": 2}, [None]]


@pytest.mark.parametrize(
    "values",
    [
        [np.zeros(1), np.zeros(1, dtype=int)],
        [np.zeros((1, 2)), np.zeros((1, 3))],
        [np.array(["a"]), np.array(["ab"])],
        [np.zeros(1), [0.0]],
        [FRAME, FRAME.astype({"n": float})],
        [FRAME, FRAME[["x", "n", "s", "c", "i", "t"]]],
        [FRAME, FRAME.iloc[1:]],
        [FRAME["n"], FRAME["x"]],
        [{"a": 1}, {"a": 2}],
        [[1.5], ["x"]],
        [[{"a": [1.5]}], [{"a": [1.5, None]}]],
    ],
    ids=range(11),
)
def test_values_that_would_change_are_not_joined(values: list[Any]) -> None:
    assert join(values) is None


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ([1, 2, 3], 3),
        (np.zeros((4, 2)), 4),
        (FRAME, 2),
        (FRAME["n"], 2),
        (np.array(1.0), None),
        ([], None),
        (np.zeros((0, 3)), None),
        (FRAME.set_index("n"), None),
        (FRAME.iloc[::-1], None),
        ("abc", None),
        ({"a": [1]}, None),
        ((1, 2), None),
        (None, None),
    ],
)
def test_row_count(value: Any, count: int | None) -> None:
    assert row_count(value) == count


@pytest.mark.parametrize(
    "result",
    [
        None,
        3.5,
        "abc",
        np.array(3),
        [1, 2],
        {"a": [1, 2, 3], "version": "7"},
        {"a": {"b": [1, 2, 3]}},
        {},
        (),
        (1, 2, 3),
        FRAME,
        pd.DataFrame({"a": [3, 1, 2]}).sort_values("a"),
        pd.Series([1, 2, 3], index=["x", "y", "z"]),
        np.ma.masked_array([1, 2, 3], [True, False, False]),
    ],
    ids=str,
)
def test_a_result_without_a_row_for_each_row_is_not_split(result: Any) -> None:
    assert split(result, [1, 2]) is None
    assert split(result, [1, 2], layout_known=True) is None


def test_a_single_request_gets_the_whole_result() -> None:
    assert split(3.5, [7]) == [3.5]


@pytest.mark.parametrize(
    ("result", "total", "expected"),
    [
        ([[1, 2], [3, 4]], 2, True),
        ([[1, 2], [3]], 2, False),
        ([[1, 2], [3, 4]], 4, False),
        (np.zeros((2, 2)), 2, True),
        (np.zeros((2, 3)), 2, False),
        (np.zeros(2), 2, False),
        ({"a": [1, 2, 3]}, 3, False),
        ({"a": [1, 2], "b": [3, 4]}, 2, True),
        ({"a": [[1, 2], [3, 4]]}, 2, True),
        ([{"a": 1}, {"a": 2}], 2, False),
    ],
    ids=range(10),
)
def test_as_many_columns_as_rows_are_ambiguous(result: Any, total: int, expected: bool) -> None:
    assert is_ambiguous(result, total) is expected
