"""Hints of pandas without a sample."""

from __future__ import annotations

import pandas as pd

from tests.unit.serving.schema.test_hints import parse_as


def test_frames_and_series_get_the_types_of_the_data() -> None:
    rows = [{"n": 1, "x": 1, "s": "a", "b": True, "e": None}, {"b": False, "n": 2, "x": None, "s": None, "e": None}]
    frame = parse_as(pd.DataFrame, rows)
    expected = pd.DataFrame(
        {
            "n": [1, 2],
            "x": [1.0, None],
            "s": ["a", None],
            "b": [True, False],
            "e": pd.Series([None, None], dtype=object),
        }
    )
    pd.testing.assert_frame_equal(frame, expected)
    split = parse_as(pd.DataFrame, {"columns": ["a", "b"], "index": ["r", "q"], "data": [[1, "x"], [2, "y"]]})
    pd.testing.assert_frame_equal(split, pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=["r", "q"]))
    assert parse_as(pd.DataFrame, []).shape == (0, 0)
    assert parse_as(pd.Series, [1, 2.5]).tolist() == [1.0, 2.5]
    assert list(parse_as(pd.DataFrame, [{}, {}]).index) == [0, 1]
