"""Hints of numpy without a sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.unit.serving.schema.test_hints import parse_as


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (np.ndarray, [[1, 2], [3, 4]], np.array([[1.0, 2], [3, 4]])),
        (np.ndarray, [1, None], np.array([1.0, np.nan])),
        (np.ndarray, [2**63 - 1, 1], np.array([2**63 - 1, 1])),
        (np.ndarray, 5, np.array(5.0)),
        (np.ndarray, [], np.array([], dtype=float)),
        (npt.NDArray[np.float32], [[0.5]], np.array([[0.5]], dtype="f4")),
        (npt.NDArray[np.int64], [1.0], np.array([1])),
        (npt.NDArray[np.bool_], [True], np.array([True])),
        (npt.NDArray[np.str_], ["a", "longer"], np.array(["a", "longer"])),
        (npt.NDArray[np.datetime64], ["2020-01-02"], np.array(["2020-01-02"], dtype="M8[us]")),
        (npt.NDArray[np.floating], [1], np.array([1.0])),
    ],
    ids=str,
)
def test_arrays_get_the_type_of_the_hint(hint: Any, value: Any, expected: Any) -> None:
    result = parse_as(hint, value)
    assert result.dtype == expected.dtype and result.shape == expected.shape
    np.testing.assert_array_equal(result, expected)
