"""`input_schema` and `output_schema`."""

from __future__ import annotations

import asyncio
import datetime
import functools
import inspect
from typing import Any

import numpy as np
import pytest

from mldeploy_jupyter.serving.schema.base import ValidationError
from mldeploy_jupyter.serving.schema.decorators import declared_of, input_schema, is_async, output_schema
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType
from mldeploy_jupyter.serving.schema.standard_type import StandardPythonParameterType


def test_what_is_declared_belongs_to_the_function_alone() -> None:
    def make() -> Any:
        @input_schema("a", NumpyParameterType(np.array([1])))
        @input_schema("b", StandardPythonParameterType("x"), optional=True)
        @output_schema(StandardPythonParameterType(1))
        def run(a: Any, b: str = "y") -> Any:
            return [a, b]

        return run

    first, second = make(), make()
    declared = declared_of(second)
    assert list(declared.inputs) == ["a", "b"] and declared.inputs["b"].optional and declared.output is not None
    assert declared.call is declared.undecorated is not second
    assert first.__name__ == "run"
    array, b = first([5, 6])  # a direct call, in a notebook
    np.testing.assert_array_equal(array, [5, 6])
    assert b == "y"
    with pytest.raises(ValidationError, match=r"a\[0\]: 1.7 is not a whole number"):
        first([1.7])
    already = np.array([9])
    assert first(already)[0] is already


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="must be a parameter type, not ndarray"):
        input_schema("a", np.array([1]))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="the name of a parameter"):
        input_schema(NumpyParameterType(np.array([1])), "a")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected a parameter type"):
        output_schema(1)  # type: ignore[arg-type]


ARRAY = NumpyParameterType(np.array([1]))

NESTED = StandardPythonParameterType({"day": datetime.date(2024, 1, 1)})


def timed(function: Any) -> Any:
    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return {"wrapped": function(*args, **kwargs)}

    return inner


class Counted:
    """A decorator that is a class."""

    def __init__(self, function: Any) -> None:
        functools.update_wrapper(self, function)
        self.function, self.calls = function, 0

    def __call__(self, **kwargs: Any) -> Any:
        self.calls += 1
        return [self.function(**kwargs), self.calls]


def run(data: Any) -> Any:
    return data.tolist()


def day(data: Any) -> Any:
    return data["day"].year


OUTPUT = output_schema(StandardPythonParameterType([1]))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (timed(input_schema("data", ARRAY)(run)), {"wrapped": [1, 2]}),
        (input_schema("data", ARRAY)(timed(run)), {"wrapped": [1, 2]}),
        (input_schema("data", ARRAY)(timed(OUTPUT(run))), {"wrapped": [1, 2]}),
        (OUTPUT(timed(input_schema("data", ARRAY)(run))), {"wrapped": [1, 2]}),
        (timed(input_schema("data", ARRAY)(timed(OUTPUT(timed(run))))), {"wrapped": {"wrapped": {"wrapped": [1, 2]}}}),
        (Counted(input_schema("data", ARRAY)(run)), [[1, 2], 1]),
        (input_schema("data", ARRAY)(Counted(OUTPUT(run))), [[1, 2], 1]),
    ],
    ids=range(7),
)
def test_a_decorator_above_or_between_is_called(function: Any, expected: Any) -> None:
    declared = declared_of(function)
    assert list(declared.inputs) == ["data"]
    assert declared.call(data=np.array([1, 2])) == expected


def test_a_decorator_above_gets_values_that_are_converted_once() -> None:
    function = timed(input_schema("data", NESTED)(timed(day)))
    value = NESTED.parse({"day": "2025-02-03"}, "data")
    assert declared_of(function).call(data=value) == {"wrapped": {"wrapped": 2025}}
    assert timed(input_schema("data", ARRAY)(run))(data=[5]) == {"wrapped": [5]}  # a direct call converts


def test_an_error_of_a_decorator_is_not_lost() -> None:
    def guarded(function: Any) -> Any:
        @functools.wraps(function)
        def inner(**kwargs: Any) -> Any:
            raise PermissionError("no")

        return inner

    with pytest.raises(PermissionError):
        declared_of(guarded(input_schema("data", ARRAY)(run))).call(data=np.array([1]))


async def run_async(data: Any) -> Any:
    return data.tolist()


def passed_on(function: Any) -> Any:
    @functools.wraps(function)
    def inner(**kwargs: Any) -> Any:
        return function(**kwargs)

    return inner


def awaited(function: Any) -> Any:
    @functools.wraps(function)
    async def inner(**kwargs: Any) -> Any:
        result = function(**kwargs)
        return await result if inspect.isawaitable(result) else result

    return inner


@pytest.mark.parametrize(
    "function",
    [
        passed_on(run_async),
        awaited(run),
        awaited(run_async),
        passed_on(input_schema("data", ARRAY)(run_async)),
        awaited(input_schema("data", ARRAY)(run)),
        input_schema("data", ARRAY)(passed_on(OUTPUT(run_async))),
        input_schema("data", ARRAY)(passed_on(run_async)),
    ],
    ids=range(7),
)
def test_a_decorated_coroutine_function_is_awaited(function: Any) -> None:
    assert is_async(function)
    assert asyncio.run(declared_of(function).call(data=np.array([1, 2]))) == [1, 2]
