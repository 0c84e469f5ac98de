"""`input_schema` and `output_schema`."""

from __future__ import annotations

import asyncio
import datetime
import functools
import inspect
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mldeploy_jupyter.serving.schema.base import ValidationError
from mldeploy_jupyter.serving.schema.decorators import (
    declared_of,
    get_input_schema,
    get_output_schema,
    get_supported_versions,
    input_schema,
    is_async,
    is_schema_decorated,
    output_schema,
)
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType
from mldeploy_jupyter.serving.schema.pandas_type import PandasParameterType
from mldeploy_jupyter.serving.schema.standard_type import StandardPythonParameterType
from mldeploy_jupyter.serving.scoring.messages import Request
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from tests.unit.serving.scripts import script_of


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


class Model:
    @input_schema("data", ARRAY)
    def run(self, data: Any) -> Any:
        return data.tolist()

    @OUTPUT
    @input_schema("data", ARRAY)
    async def run_async(self, data: Any) -> Any:
        return data.tolist()

    @input_schema("data", ARRAY)
    def __call__(self, data: Any) -> Any:
        return data.tolist()

    @classmethod
    @input_schema("data", ARRAY)
    def run_of_class(cls, data: Any) -> Any:
        return data.tolist()

    @staticmethod
    @input_schema("data", ARRAY)
    def run_static(data: Any) -> Any:
        return data.tolist()

    def plain(self, data: Any) -> Any:
        return data.tolist()


@input_schema("data", ARRAY)
def with_model(model: Any, data: Any) -> Any:
    return data.tolist()


@pytest.mark.parametrize(
    "function",
    [
        Model().run,
        Model().run_async,
        Model(),
        Model.run_of_class,
        Model.run_static,
        input_schema("data", ARRAY)(Model().plain),
        timed(Model().run),
        functools.partial(with_model, None),
        functools.partial(with_model, model=None),
    ],
    ids=range(9),
)
def test_a_decorated_method_is_a_run(function: Any) -> None:
    script = script_of(function)
    assert [parameter.name for parameter in script.parameters if parameter.required] == ["data"]
    scorer, request = Scorer(script), Request(headers={"content-type": "application/json"}, body=b'{"data": [1, 2]}')
    response = asyncio.run(scorer.score_async(request)) if script.is_async else scorer.score(request)
    assert response.body in (b"[1,2]", b'{"wrapped":[1,2]}'), response


def test_an_optional_parameter_may_be_null_or_left_out() -> None:
    def answer(kind: Any, body: bytes, run: Any = lambda data=None: data is None) -> bytes:
        script = script_of(input_schema("data", kind, optional=True)(run))
        return Scorer(script).score(Request(headers={"content-type": "application/json"}, body=body)).body

    for kind in (StandardPythonParameterType({"n": 1}), StandardPythonParameterType(1), ARRAY):
        assert answer(kind, b'{"data": null}') == answer(kind, b"{}") == b"true"
        assert answer(kind, b"{}", lambda data: data is None) == b"true"  # without a default
    assert answer(ARRAY, b'{"data": []}', lambda data=None: data.shape) == b"[0]"
    assert input_schema("data", ARRAY, optional=True)(lambda data=None: data)(None) is None


def test_a_direct_call_takes_labels_that_are_numbers() -> None:
    frame = pd.DataFrame({0: ["a"], 1: ["b"]})
    function = input_schema("p", PandasParameterType(frame))(lambda p: p)
    pd.testing.assert_frame_equal(function(frame.to_dict(orient="records")), frame)


def test_a_direct_call_converts_the_parts_of_a_sample_that_have_a_type() -> None:
    frame = pd.DataFrame({"a": ["x"]})
    sample = {"rows": [PandasParameterType(frame)], "numbers": ARRAY, "plain": 0}
    function = input_schema("p", StandardPythonParameterType(sample))(lambda p: p)
    for rows in (frame, {"a": ["x"]}, [{"a": "x"}]):
        found = function({"rows": [rows], "numbers": [1, 2], "plain": "as it is", "more": 1})
        pd.testing.assert_frame_equal(found["rows"][0], frame)
        assert found["numbers"].tolist() == [1, 2] and (found["plain"], found["more"]) == ("as it is", 1)


def test_a_direct_call_takes_records_as_tuples() -> None:
    records = np.array([("a", (1.0, 2.0))], dtype=[("name", "U4"), ("grades", "f8", (2,))])
    function = input_schema("p", NumpyParameterType(records))(lambda p: p["grades"])
    assert function([("b", (8.0, 7.0))]).tolist() == [[8.0, 7.0]]


def test_the_functions_of_schema_util() -> None:
    function = input_schema("data", ARRAY)(OUTPUT(run))
    assert get_input_schema(function)["example"] == {"data": [1]}
    assert get_input_schema(function)["properties"]["data"]["items"]["type"] == "integer"
    assert get_output_schema(function)["example"] == [1]
    assert is_schema_decorated(timed(function)) and not is_schema_decorated(run)
    assert get_supported_versions(function) == ["2.0", "3.0", "3.1"]
    with pytest.raises(ValueError, match="no @input_schema"):
        get_input_schema(run)
    with pytest.raises(ValueError, match="no @output_schema"):
        get_output_schema(run)
