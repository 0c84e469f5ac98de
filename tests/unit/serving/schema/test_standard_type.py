"""Samples of plain Python values: the values that they accept, and the place of those that they refuse."""

from __future__ import annotations

import base64
import copy
import datetime as dt
from typing import Any

import numpy as np
import pytest

from mldeploy_jupyter.serving.schema.base import ValidationError
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType
from mldeploy_jupyter.serving.schema.standard_type import StandardPythonParameterType


@pytest.mark.parametrize(
    ("sample", "value", "expected"),
    [
        (1, 2, 2),
        (1, 2.0, 2),
        (1.5, 2, 2.0),
        ("a", "longer", "longer"),
        (True, False, False),
        (b"x", "aGk=", b"hi"),
        (dt.date(2020, 1, 2), "2021-03-04", dt.date(2021, 3, 4)),
        (dt.datetime(2020, 1, 2), "2021-03-04T05:06:07", dt.datetime(2021, 3, 4, 5, 6, 7)),
        (dt.time(1), "02:03:04", dt.time(2, 3, 4)),
        ([1], [2, 3], [2, 3]),
        ([], [1, "a"], [1, "a"]),
        ([1, "a"], ["b", 2], ["b", 2]),
        ([1, 1.5], [1, 2.5], [1, 2.5]),
        ((1, "a"), [2, "b"], (2, "b")),
        ({1}, [2, 2], {2}),
        ({"a": {"b": [1.0]}}, {"a": {"b": [2]}, "more": 1}, {"a": {"b": [2.0]}, "more": 1}),
        ({}, {"x": 1}, {"x": 1}),
    ],
)
def test_values_like_the_sample_are_accepted(sample: Any, value: Any, expected: Any) -> None:
    before = copy.deepcopy(value)
    result = StandardPythonParameterType(sample).parse(value, "p")
    assert result == expected and type(result) is type(expected)
    assert value == before


@pytest.mark.parametrize(
    ("sample", "value", "where"),
    [
        (1, True, "p"),
        (1, 1.7, "p"),
        (1, None, "p"),
        (1.5, None, "p"),
        (1.5, "1", "p"),
        ("a", 1, "p"),
        (True, 1, "p"),
        (b"x", "no base64!", "p"),
        (dt.date(2020, 1, 2), "2021-13-01", "p"),
        ([1], {"a": 1}, "p"),
        ([1], [1, "x"], "p[1]"),
        ((1, 2), [1], "p"),
        ({"a": {"b": [1]}}, {"a": {"b": [1, 1.5]}}, "p.a.b[1]"),
        ({"a": 1}, {}, "p"),
        ({"a": 1}, [1], "p"),
    ],
)
def test_other_values_are_refused_with_their_place(sample: Any, value: Any, where: str) -> None:
    with pytest.raises(ValidationError) as caught:
        StandardPythonParameterType(sample, strict=True).parse(value, "p")
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("sample", "value", "expected"),
    [
        ({"n": 1, "length": 2}, {"n": 3}, {"n": 3}),
        ({"n": 1}, {}, {}),
        ({"n": 1}, {"n": None}, {"n": None}),
        ({"n": 1, "on": True}, {"n": 2.5, "on": "yes"}, {"n": 2.5, "on": "yes"}),
        ({"a": {"b": [1]}}, {"a": {"b": ["x"]}}, {"a": {"b": ["x"]}}),
        ({"day": dt.date(2020, 1, 2)}, {"day": "2021-03-04"}, {"day": dt.date(2021, 3, 4)}),
        ({"day": dt.date(2020, 1, 2)}, {"day": "tomorrow"}, {"day": "tomorrow"}),
        ([{"a": 1}], [{"a": "x"}, {}], [{"a": "x"}, {}]),
        ([1], [1.5, None, 2.0], [1.5, None, 2]),
        (["a"], [1, ["b"]], [1, ["b"]]),
        ([[1, 2]], [[1.5], 3], [[1.5], 3]),
        ((1, "a"), [1.5, "b"], (1.5, "b")),
        ((1, "a"), [1], [1]),
        (dt.datetime(2020, 1, 2), "01/03/2020", dt.datetime(2020, 1, 3)),
        (dt.datetime(2020, 1, 2), "Jan 2 2020 3pm", dt.datetime(2020, 1, 2, 15)),
        (dt.date(2020, 1, 2), "2 January 2020", dt.date(2020, 1, 2)),
        (dt.time(1), "3pm", dt.time(15)),
    ],
)
def test_by_default_a_sample_is_as_lax_as_in_v1(sample: Any, value: Any, expected: Any) -> None:
    kind = StandardPythonParameterType(sample)
    result = kind.parse(value, "p")
    assert result == expected
    assert "required" not in kind.schema()
    if value != {"day": "2021-03-04"}:
        with pytest.raises(ValidationError):
            StandardPythonParameterType(sample, strict=True).parse(value, "p")


@pytest.mark.parametrize(
    ("sample", "value"),
    [
        ({"n": 1}, [1]),
        ({"n": 1}, None),
        ([1], 1),
        ((1, "a"), {"0": 1}),
        ({"rows": NumpyParameterType(np.array([1]))}, {"rows": None}),
        ([NumpyParameterType(np.array([1]))], ["x"]),
        ({"more": [NumpyParameterType(np.array([1]))]}, {"more": [["x"]]}),
        (dt.datetime(2020, 1, 2), "now"),
        (dt.datetime(2020, 1, 2), "2021-13-01"),
        (dt.datetime(2020, 1, 2), 5),
        (dt.date(2020, 1, 2), "no date 5"),
    ],
)
def test_what_v1_refused_is_refused(sample: Any, value: Any) -> None:
    with pytest.raises(ValidationError):
        StandardPythonParameterType(sample).parse(value, "p")


@pytest.mark.parametrize(
    "sample",
    [b"x", dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3), dt.time(1, 2), [1, "a"], (1, [2.5]), {"a": 1}],
)
def test_a_sample_survives_a_round_trip(sample: Any) -> None:
    kind = StandardPythonParameterType(sample)
    assert kind.parse(kind.dump(), "p") == sample


def test_a_sample_may_have_none_and_numbers_as_keys() -> None:
    kind = StandardPythonParameterType({1: "a", "more": [None], "none": None}, strict=True)
    assert kind.dump() == {"1": "a", "more": [None], "none": None}
    assert kind.schema()["properties"] == {"1": {"type": "string"}, "more": {"type": "array", "items": {}}, "none": {}}
    for more in (None, 1, {"a": 1}):
        value = {"1": "b", "more": [more], "none": more}
        assert kind.parse(value, "p") == value


def test_base64_may_have_lines() -> None:
    data = bytes(range(200))
    assert StandardPythonParameterType(b"x").parse(base64.encodebytes(data).decode(), "p") == data


def test_other_parameter_types_may_be_nested() -> None:
    kind = StandardPythonParameterType({"rows": NumpyParameterType(np.array([[1, 2]])), "n": 1})
    value = kind.parse({"rows": [[3, 4]], "n": 5}, "Inputs")
    np.testing.assert_array_equal(value["rows"], [[3, 4]])
    with pytest.raises(ValidationError) as caught:
        kind.parse({"rows": [[3, 4.5]], "n": 5}, "Inputs")
    assert caught.value.where == "Inputs.rows[0][1]"
    assert kind.dump() == {"rows": [[1, 2]], "n": 1}
    assert kind.parse({"n": 5}, "Inputs") == {"n": 5}  # v1 did not look for keys
    assert kind.only_integers() and not StandardPythonParameterType({"n": 1}).only_integers()
    assert StandardPythonParameterType({"n": 1}, strict=True).only_integers()


@pytest.mark.parametrize("sample", [None, object(), [object()], {1.5: 2}, {True: 2}, 1j])
def test_a_sample_without_a_form_in_json_is_refused(sample: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        StandardPythonParameterType(sample)
