"""Samples of numpy: the values that they accept, and the place of those that they refuse."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.serving.schema.base import ValidationError
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType


def parse(sample: Any, value: Any, **options: Any) -> Any:
    return NumpyParameterType(sample, **options).parse(value, "data")


def error_for(sample: Any, value: Any, **options: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        parse(sample, value, **options)
    return caught.value


RECORD = np.array([(1, "ab", 2.0)], dtype=[("age", "i4"), ("name", "U3"), ("w", "f8")])


@pytest.mark.parametrize(
    ("sample", "value", "expected"),
    [
        (np.array([[1, 2]]), [[3, 4], [5, 6], [7, 8]], np.array([[3, 4], [5, 6], [7, 8]])),
        (np.array([1.0]), [1, 2.5], np.array([1.0, 2.5])),
        (np.array([1]), [2.0], np.array([2])),
        (np.array([1], dtype="u1"), [255], np.array([255], dtype="u1")),
        (np.array([True]), [False, True], np.array([False, True])),
        (np.array(["abc"]), ["x", "yz"], np.array(["x", "yz"], dtype="U3")),
        (np.array(3.5), 4, np.array(4.0)),
        (np.float32(1), 0.1, np.array(0.1, dtype="f4")),
        (np.zeros((1, 2, 2)), [[[1, 2], [3, 4]]] * 2, np.array([[[1, 2], [3, 4]]] * 2, dtype=float)),
        (
            np.array(["2020-01-01"], dtype="M8[ns]"),
            ["2021-02-03T04:05:06Z"],
            np.array(["2021-02-03T04:05:06"], dtype="M8[ns]"),
        ),
        (np.array([1], dtype="m8[s]"), [60], np.array([60], dtype="m8[s]")),
        (np.array([None], dtype=object), [{"any": 1}], np.array([{"any": 1}], dtype=object)),
        (np.array([b"ab"]), ["x"], np.array([b"x"])),
    ],
)
def test_values_get_the_type_and_shape_of_the_sample(sample: Any, value: Any, expected: Any) -> None:
    before = copy.deepcopy(value)
    result = parse(sample, value)
    np.testing.assert_array_equal(result, expected)
    assert result.dtype == np.asarray(sample).dtype
    assert value == before


@pytest.mark.parametrize(
    ("sample", "value", "where", "words"),
    [
        (np.array([[1, 2]]), [[1, 2], [3, 1.7]], "data[1][1]", "1.7 is not a whole number"),
        (np.array([[1, 2]]), [[1, None]], "data[0][1]", "got null"),
        (np.array([1]), [True], "data[0]", "got a boolean"),
        (np.array([1]), ["1"], "data[0]", "got a string, '1'"),
        (np.array([1], dtype="i1"), [128], "data[0]", "out of the range of int8"),
        (np.array([1], dtype="u1"), [-1], "data[0]", "out of the range of uint8"),
        (np.array([1.0]), ["1.0"], "data[0]", "expected a number (float64)"),
        (np.array([1.0]), [2**53 + 1], "data[0]", "without losing digits"),
        (np.array([1.0]), [10**400], "data[0]", "without losing digits"),
        (np.array([1.0], dtype="f4"), [1e39], "data[0]", "out of the range of float32"),
        (np.array([True]), ["yes"], "data[0]", "expected true or false"),
        (np.array([True]), [1], "data[0]", "expected true or false"),
        (np.array(["ab"]), ["longer"], "data[0]", "has 6 characters, the type holds 2"),
        (np.array([b"ab"]), ["abc"], "data[0]", "has 3 bytes"),
        (np.zeros((1, 3)), [[1, 2]], "data[0]", "expected 3 values, got 2"),
        (np.zeros((1, 3)), [1, 2, 3], "data[0]", "expected a list of rows of 3 values, got a number"),
        (np.zeros(3), 5, "data", "expected a list of values, got a number"),
        (np.zeros(3), [[1]], "data[0]", "got a list"),
        (np.zeros((1, 3)), [], "data", "got an empty list"),
        (np.array(["2020"], dtype="M8[D]"), ["2020-01-01T12:00"], "data[0]", "without losing precision"),
        (np.array(["2020"], dtype="M8[D]"), ["soon"], "data[0]", "not a date or time in ISO 8601"),
        (np.array(["2020"], dtype="M8[s]"), ["now"], "data[0]", "not a date or time in ISO 8601"),
    ],
)
def test_a_lossy_conversion_is_refused_with_its_place(sample: Any, value: Any, where: str, words: str) -> None:
    error = error_for(sample, value)
    assert error.where == where
    assert words in str(error)


@pytest.mark.parametrize(
    ("sample", "value", "expected"),
    [
        (np.array([1]), [1.7, -1.7, "2", True], [1, -1, 2, 1]),
        (np.array([1.0]), ["1.5", 2**53 + 1, True], [1.5, 2.0**53, 1.0]),
        (np.array([True]), [0, 2.5], [False, True]),
        (np.array(["ab"]), ["longer", 12.5], ["lo", "12"]),
        (np.array([b"ab"]), ["aü"], [b"a"]),
        (np.array(["2020"], dtype="M8[D]"), ["2020-01-01T12:00"], np.array(["2020-01-01"], dtype="M8[D]").tolist()),
        (np.array([1], dtype="m8[s]"), [1.5], np.array([1], dtype="m8[s]").tolist()),
        (RECORD, [{"age": 1.7, "name": "longer", "w": "2"}], [(1, "lon", 2.0)]),
    ],
    ids=range(8),
)
def test_lossy_accepts_conversions_that_lose_something(sample: Any, value: Any, expected: Any) -> None:
    assert parse(sample, value, lossy=True).tolist() == expected
    error_for(sample, value)


@pytest.mark.parametrize(
    ("sample", "value"),
    [
        (np.array([1]), [None]),
        (np.array([1]), ["x"]),
        (np.array([1], dtype="i1"), [128.5]),
        (np.array([1.0]), [10**400]),
        (np.array([1.0], dtype="f4"), [1e39]),
        (np.array([True]), ["yes"]),
        (np.array(["ab"]), [None]),
    ],
    ids=range(7),
)
def test_lossy_refuses_values_with_nothing_to_fall_back_on(sample: Any, value: Any) -> None:
    assert error_for(sample, value, lossy=True).where == "data[0]"


def test_strings_that_numpy_would_shorten_are_refused() -> None:
    assert "ends with a NUL" in str(error_for(np.array(["abc"]), ["a\0"]))
    assert "ends with a NUL" in str(error_for(np.array([b"abc"]), ["a\0"]))


def test_null_becomes_nan_and_nat_where_the_type_has_them() -> None:
    assert math.isnan(parse(np.array([1.0]), [None])[0])
    assert np.isnat(parse(np.array(["2020"], dtype="M8[D]"), [None])[0])


def test_structured_rows_are_objects_or_lists() -> None:
    result = parse(RECORD, [{"w": 1, "age": 3, "name": "x"}, [4, "yz", 0.5]])
    assert result.tolist() == [(3, "x", 1.0), (4, "yz", 0.5)]
    assert error_for(RECORD, [{"age": 1.5, "name": "x", "w": 1}]).where == "data[0].age"
    assert "'w' is missing" in str(error_for(RECORD, [{"age": 1, "name": "x"}]))
    assert "'z' is unknown" in str(error_for(RECORD, [{"age": 1, "name": "x", "w": 1, "z": 1}]))


def test_without_enforcement_dtype_and_shape_come_from_the_data() -> None:
    assert parse(np.array([[1]]), [1.5, 2.5], enforce_shape=False, enforce_column_type=False).tolist() == [1.5, 2.5]
    assert parse(np.array([[1, 2]]), [[1.5, 2]], enforce_column_type=False).tolist() == [[1.5, 2.0]]
    assert parse(np.array([[1]]), [[[4]]], enforce_shape=False).shape == (1, 1, 1)
    assert error_for(np.array([1]), [[1, 2], [3]], enforce_shape=False).where == "data[1]"


def test_a_sample_without_a_form_in_json_is_refused() -> None:
    with pytest.raises(TypeError, match="complex128"):
        NumpyParameterType(np.array([1j]))
    with pytest.raises(TypeError, match="not list"):
        NumpyParameterType([1, 2])


@pytest.mark.parametrize(
    "sample",
    [
        np.array([[1.5, np.nan]]),
        np.array(7),
        np.array(["2020-01-01", "NaT"], dtype="M8[ns]"),
        RECORD,
        np.array([b"a"]),
        np.array([True]),
        np.array(["ü"]),
        np.array([5], dtype="m8[D]"),
        np.zeros((2, 0, 3)),
    ],
)
def test_a_sample_survives_a_round_trip(sample: Any) -> None:
    kind = NumpyParameterType(sample)
    result = kind.parse(kind.dump(), "data")
    assert result.dtype == sample.dtype
    np.testing.assert_array_equal(result, sample)


@given(st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3), min_size=1))
def test_any_integers_are_unchanged(rows: list[list[int]]) -> None:
    assert parse(np.array([[1, 2, 3]]), rows).tolist() == rows


SCALARS = st.none() | st.booleans() | st.floats() | st.text()


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_value_fits_or_has_an_error_with_its_place(value: Any) -> None:
    for sample in (np.array([[1, 2]]), RECORD, np.array(["a"]), np.array(1.0), np.array(["2020"], dtype="M8[s]")):
        try:
            result = parse(sample, value)
        except ValidationError as error:
            assert error.where.startswith("data")
        else:
            assert result.dtype == sample.dtype


def test_durations_come_as_counts_or_in_iso_8601() -> None:
    seconds = NumpyParameterType(np.array([90], dtype="m8[s]"))
    for body in ([90, None], ["P0DT0H1M30S", None], ["PT90S", None]):
        found = seconds.parse(body, "data")
        assert found[0] == np.timedelta64(90, "s") and np.isnat(found[1])
    assert seconds.parse(["-P1D"], "data")[0] == np.timedelta64(-86400, "s")
    for text in ("P", "PT", "90", "P1Y", "PT1.5S", "P999999999D"):
        with pytest.raises(ValidationError, match=r"data\[0\]"):
            NumpyParameterType(np.array([90], dtype="m8[s]")).parse([text], "data")


def test_records_may_have_arrays_and_records_inside() -> None:
    grades = NumpyParameterType(np.array([("S", (8.0, 7.0))], dtype=[("name", "U16"), ("grades", "f8", (2,))]))
    found = grades.parse([{"name": "A", "grades": [1, 2.5]}, ["B", [3, 4]]], "data")
    assert found["grades"].tolist() == [[1, 2.5], [3, 4]]
    np.testing.assert_array_equal(grades.parse(grades.dump(), "data"), grades.sample_input)
    inner = [("c", "f8"), ("d", "i2", (1, 1))]
    nested = NumpyParameterType(np.array([(1, (2.5, 3))], dtype=[("a", "i4"), ("b", inner)]))
    assert nested.dump() == [{"a": 1, "b": {"c": 2.5, "d": [[3]]}}]
    found = nested.parse([{"a": 5, "b": {"c": 1, "d": [[7]]}}], "data")
    assert found["b"]["d"].tolist() == [[[7]]] and found["b"]["c"].tolist() == [1.0]
    for value, where in (
        ([{"name": "A", "grades": [1]}], "data[0].grades"),
        ([{"name": "A", "grades": [1, "x"]}], "data[0].grades[1]"),
    ):
        with pytest.raises(ValidationError) as caught:
            grades.parse(value, "data")
        assert caught.value.where == where
    with pytest.raises(ValidationError) as caught:
        nested.parse([{"a": 5, "b": {"c": 1, "d": [[7.5]]}}], "data")
    assert caught.value.where == "data[0].b.d[0][0]"
    assert grades.schema()["items"]["properties"]["grades"]["maxItems"] == 2
    assert nested.schema()["items"]["properties"]["b"]["required"] == ["c", "d"]


def test_an_empty_list_is_an_empty_array_where_the_sample_has_one_axis() -> None:
    assert NumpyParameterType(np.array([1, 2])).parse([], "data").shape == (0,)
    structured = NumpyParameterType(np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]))
    assert structured.parse([], "data").dtype == structured.sample_input.dtype
