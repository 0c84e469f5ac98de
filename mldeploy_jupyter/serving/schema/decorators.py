"""`input_schema` and `output_schema`.

What they declare is an attribute of the function, not an entry in a registry, so that two scripts in one process, or a
notebook cell that runs twice, do not affect each other.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from .base import AbstractParameterType

_DECLARED = "__mldeploy_schema__"


@dataclass(frozen=True)
class Declared:
    """What one `@input_schema` declares. `convert` is v1's `convert_to_provided_type`."""

    param_type: AbstractParameterType
    convert: bool = True
    optional: bool = False


@dataclass(frozen=True)
class Declaration:
    """The declared inputs by parameter, the declared output or None, and the function without any decorator.

    `call` is the function to call with converted arguments: with all decorators but those of the schema. It is a
    coroutine function when `is_async` says so of the function.
    """

    inputs: dict[str, Declared]
    output: AbstractParameterType | None
    undecorated: Callable[..., Any]
    call: Callable[..., Any]


@dataclass
class _Schema:
    undecorated: Callable[..., Any]
    target: Callable[..., Any]  # what the wrapper calls: `undecorated`, or another decorator around it
    inputs: dict[str, Declared] = field(default_factory=dict)
    output: AbstractParameterType | None = None
    wrapper: Any = None  # whose schema this is; functools.wraps copies it to others


_converted: ContextVar[bool] = ContextVar("converted", default=False)


def input_schema(
    param_name: str, param_type: AbstractParameterType, convert_to_provided_type: bool = True, optional: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declares one parameter of `run()` by a sample. Decorate once for each parameter.

    With `convert_to_provided_type=False` the value stays as JSON gave it. Raises `TypeError` when `param_name` is not a
    string or `param_type` not a parameter type.
    """
    if not isinstance(param_name, str):
        raise TypeError("input_schema: param_name must be the name of a parameter")
    if not isinstance(param_type, AbstractParameterType):
        raise TypeError(f"input_schema: param_type must be a parameter type, not {type(param_type).__name__}")

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        wrapper, schema = _wrap(function)
        declared = Declared(param_type, convert_to_provided_type, optional)
        schema.inputs = {param_name: declared, **schema.inputs}
        return wrapper

    return decorate


def output_schema(output_type: AbstractParameterType) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declares what `run()` returns: for the OpenAPI document, and to check results.

    Raises `TypeError` when `output_type` is not a parameter type.
    """
    if not isinstance(output_type, AbstractParameterType):
        raise TypeError(f"output_schema: expected a parameter type, not {type(output_type).__name__}")

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        wrapper, schema = _wrap(function)
        schema.output = output_type
        return wrapper

    return decorate


def declared_of(function: Any) -> Declaration:
    """What the decorators of a function declare, also where another decorator is above or between them."""
    schema: _Schema | None = getattr(function, _DECLARED, None)
    if schema is None:
        return Declaration({}, None, function, _awaited(function))
    # Copied by functools.wraps to a decorator above, or the target is one between: it is called too.
    target = schema.target if schema.wrapper is function else function
    call = _without_conversion(target) if hasattr(target, _DECLARED) else _awaited(target)
    return Declaration(dict(schema.inputs), schema.output, schema.undecorated, call)


def is_async(function: Any) -> bool:
    """Whether a call of the function gives a coroutine, as far as its decorators tell (functools.wraps)."""
    while function is not None:
        if inspect.iscoroutinefunction(function):
            return True
        function = getattr(function, "__wrapped__", None)
    return False


def _awaited(function: Any) -> Callable[..., Any]:
    """The function as it is; as a coroutine function, where a plain decorator is around one."""
    if inspect.iscoroutinefunction(function) or not is_async(function):
        return function  # type: ignore[no-any-return]

    async def call(**arguments: Any) -> Any:
        result = function(**arguments)
        return await result if inspect.isawaitable(result) else result

    return call


def _without_conversion(function: Any) -> Callable[..., Any]:
    """The function for arguments that are converted already: the wrappers below it pass them on."""
    if is_async(function):
        inner = _awaited(function)

        async def call_async(**arguments: Any) -> Any:
            token = _converted.set(True)
            try:
                return await inner(**arguments)
            finally:
                _converted.reset(token)

        return call_async

    def call(**arguments: Any) -> Any:
        token = _converted.set(True)
        try:
            return function(**arguments)
        finally:
            _converted.reset(token)

    return call


def _wrap(function: Callable[..., Any]) -> tuple[Callable[..., Any], _Schema]:
    inner: _Schema | None = getattr(function, _DECLARED, None)
    if inner is None:
        schema = _Schema(function, function)
    else:
        target = inner.target if inner.wrapper is function else function
        schema = _Schema(inner.undecorated, target, dict(inner.inputs), inner.output)
    signature = inspect.signature(schema.undecorated)

    # A direct call, in a notebook, converts its arguments as the service does.
    @functools.wraps(schema.target)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if _converted.get():
            return schema.target(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        for name, declared in schema.inputs.items():
            value = bound.arguments.get(name)
            if (
                name in bound.arguments
                and declared.convert
                and not isinstance(value, declared.param_type.sample_data_type)
            ):
                bound.arguments[name] = declared.param_type.parse(value, name)
        return schema.target(*bound.args, **bound.kwargs)

    schema.wrapper = wrapper
    setattr(wrapper, _DECLARED, schema)
    return wrapper, schema
