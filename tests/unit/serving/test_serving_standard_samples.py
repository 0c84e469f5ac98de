"""What samples of plain Python values accept, refuse and say where."""

from __future__ import annotations

import copy
import datetime as dt
from typing import Any

import numpy as np
import pytest

from mldeploy_jupyter.serving.schema.base import AbstractParameterType, ValidationError
from mldeploy_jupyter.serving.schema.decorators import declared_of, input_schema, output_schema
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
def test_values_like_the_sample_are_taken(sample: Any, value: Any, expected: Any) -> None:
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
        StandardPythonParameterType(sample).parse(value, "p")
    assert caught.value.where == where


@pytest.mark.parametrize(
    "sample",
    [b"x", dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3), dt.time(1, 2), [1, "a"], (1, [2.5]), {"a": 1}],
)
def test_a_sample_written_as_json_is_read_back(sample: Any) -> None:
    kind = StandardPythonParameterType(sample)
    assert kind.parse(kind.dump(), "p") == sample


def test_other_parameter_types_may_be_inside() -> None:
    kind = StandardPythonParameterType({"rows": NumpyParameterType(np.array([[1, 2]])), "n": 1})
    value = kind.parse({"rows": [[3, 4]], "n": 5}, "Inputs")
    np.testing.assert_array_equal(value["rows"], [[3, 4]])
    with pytest.raises(ValidationError) as caught:
        kind.parse({"rows": [[3, 4.5]], "n": 5}, "Inputs")
    assert caught.value.where == "Inputs.rows[0][1]"
    assert kind.dump() == {"rows": [[1, 2]], "n": 1}


@pytest.mark.parametrize("sample", [None, object(), [object()], {1: 2}, 1j])
def test_a_sample_without_a_form_in_json_is_refused_at_once(sample: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        StandardPythonParameterType(sample)


def test_a_type_of_v1_with_its_two_methods_still_works() -> None:
    class Celsius(AbstractParameterType):
        def deserialize_input(self, input_data: Any) -> Any:
            return float(input_data.removesuffix("C"))

        def input_to_swagger(self) -> dict[str, Any]:
            return {"type": "string", "example": "20C"}

    kind = Celsius("20C")
    assert kind.parse("21C", "t") == 21.0
    assert kind.schema() == {"type": "string"}
    with pytest.raises(ValidationError, match="t: ValueError: could not convert"):
        kind.parse("warm", "t")


def test_decorators_hang_on_the_function_and_may_be_run_again() -> None:
    def make() -> Any:
        @input_schema("a", NumpyParameterType(np.array([1])))
        @input_schema("b", StandardPythonParameterType("x"), optional=True)
        @output_schema(StandardPythonParameterType(1))
        def run(a: Any, b: str = "y") -> Any:
            return [a, b]

        return run

    first, second = make(), make()
    inputs, output, plain = declared_of(second)
    assert list(inputs) == ["a", "b"] and inputs["b"].optional and output is not None
    assert plain is not second
    assert first.__name__ == "run"
    array, b = first([5, 6])  # by hand, in a notebook
    np.testing.assert_array_equal(array, [5, 6])
    assert b == "y"
    with pytest.raises(ValidationError, match=r"a\[0\]: 1.7 is not a whole number"):
        first([1.7])
    already = np.array([9])
    assert first(already)[0] is already


def test_wrong_arguments_of_the_decorators_are_refused() -> None:
    with pytest.raises(TypeError, match="must be a parameter type, not ndarray"):
        input_schema("a", np.array([1]))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the name of a parameter"):
        input_schema(NumpyParameterType(np.array([1])), "a")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected a parameter type"):
        output_schema(1)  # type: ignore[arg-type]
