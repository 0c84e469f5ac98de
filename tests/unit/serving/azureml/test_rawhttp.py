"""`@rawhttp` is found below any decorator, and nowhere else."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from mldeploy_jupyter.serving.azureml.rawhttp import marked_function, rawhttp
from mldeploy_jupyter.serving.ipc.failure import ContractError
from mldeploy_jupyter.serving.schema.decorators import input_schema
from mldeploy_jupyter.serving.schema.standard_type import StandardPythonParameterType
from mldeploy_jupyter.serving.scoring.messages import Request
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from tests.unit.serving.scripts import script_of


@rawhttp
def method_of(request: Any) -> Any:
    return request.method


def named(function: Callable[..., Any]) -> Callable[..., Any]:
    def inner(req: Any) -> Any:
        return function(req)

    return inner


def variadic(function: Callable[..., Any]) -> Callable[..., Any]:
    def inner(*args: Any) -> Any:
        return function(*args)

    return inner


def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


class Safe:
    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, request: Any) -> Any:
        return self.function(request)


class Model:
    @rawhttp
    def run(self, request: Any) -> Any:
        return request.method

    def plain(self, request: Any) -> Any:
        return request.method


@pytest.mark.parametrize(
    "run",
    [
        method_of,
        named(method_of),
        variadic(method_of),
        wrapped(method_of),
        named(wrapped(named(method_of))),
        rawhttp(wrapped(lambda request: request.method)),
        Safe(method_of),
        functools.partial(method_of),
        Model().run,
        rawhttp(Model().plain),
        named(Model().run),
    ],
    ids=range(11),
)
def test_a_marked_function_below_decorators_gets_the_request(run: Any) -> None:
    script = script_of(run)
    response = Scorer(script).score(Request(method="PATCH"))
    assert (script.mode, response.status, response.body) == ("raw", 200, b'"PATCH"')


def test_a_script_without_the_mark_has_none() -> None:
    def other(data: Any) -> Any:
        return data

    late: list[Any] = []

    def recursive(data: Any) -> Any:
        return late or recursive(data)

    assert marked_function(named(other)) is marked_function(recursive) is marked_function(Safe(other)) is None
    assert script_of(other).mode == "text"


def test_a_mark_and_a_sample_exclude_each_other() -> None:
    run = input_schema("request", StandardPythonParameterType(1))(rawhttp(lambda request: 1))
    with pytest.raises(ContractError, match="cannot have both"):
        script_of(run)
