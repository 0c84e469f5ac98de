"""`input_schema` and `output_schema`.

What they declare is an attribute of the function, not an entry in a registry, so that two scripts in one process, or a
notebook cell that runs twice, do not affect each other.
"""

from __future__ import annotations

import functools
import inspect
import types
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

    With `convert_to_provided_type=False` the value stays as JSON gave it. An `optional` parameter may be null, too, and
    is None when it is left out and has no default. Raises `TypeError` when `param_name` is not a string or `param_type`
    not a parameter type.
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
        schema.output = output_type.unless_lax()
        return wrapper

    return decorate


def declared_of(function: Any) -> Declaration:
    """What the decorators of a function declare, also where another decorator is above or between them.

    The function may be a method, an object with `__call__`, or a `functools.partial`.
    """
    schema = _schema_of(function)
    if schema is None:
        return Declaration({}, None, function, _awaited(function))
    # Copied by functools.wraps to a decorator above, or the target is one between: it is called too.
    target = schema.target if schema.wrapper is function else function
    call = _without_conversion(target) if _schema_of(target) is not None else _awaited(target)
    return Declaration(dict(schema.inputs), schema.output, _bound_as(function, schema.undecorated), call)


def _schema_of(function: Any) -> _Schema | None:
    schema: _Schema | None = getattr(function, _DECLARED, None)
    if schema is None and isinstance(function, functools.partial):
        return _schema_of(function.func)
    if schema is None and not inspect.isroutine(function) and not isinstance(function, type):
        return getattr(getattr(function, "__call__", None), _DECLARED, None)  # noqa: B004
    return schema


def _bound_as(function: Any, undecorated: Callable[..., Any]) -> Callable[..., Any]:
    """The undecorated function without the parameters that are bound already: `self`, and those of a partial."""
    if isinstance(function, functools.partial):
        return functools.partial(_bound_as(function.func, undecorated), *function.args, **function.keywords)
    if inspect.ismethod(undecorated):
        return undecorated
    outer = function
    while function is not None and not inspect.ismethod(function):
        function = getattr(function, "__wrapped__", None)
    if function is None and getattr(outer, _DECLARED, None) is None:  # an object whose `__call__` is decorated
        function = outer.__call__
    return undecorated if function is None else types.MethodType(undecorated, function.__self__)


def is_async(function: Any) -> bool:
    """Whether a call of the function gives a coroutine, as far as its decorators tell (functools.wraps)."""
    while function is not None:
        if isinstance(function, functools.partial):
            function = function.func
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
            if name in bound.arguments and declared.convert and not (declared.optional and value is None):
                bound.arguments[name] = declared.param_type.convert_argument(value, name)
        return schema.target(*bound.args, **bound.kwargs)

    schema.wrapper = wrapper
    setattr(wrapper, _DECLARED, schema)
    return wrapper, schema


def get_input_schema(function: Callable[..., Any]) -> dict[str, Any]:
    """v1's `schema_util.get_input_schema`: the JSON Schema of the body, with the samples as its `example`.

    Raises `ValueError` when no `@input_schema` declares the function.
    """
    inputs = declared_of(function).inputs
    if not inputs:
        raise ValueError("the function has no @input_schema")
    types_of = {name: declared.param_type for name, declared in inputs.items()}
    return {
        "type": "object",
        "properties": {name: param_type.input_to_swagger() for name, param_type in types_of.items()},
        "example": {name: param_type.dump() for name, param_type in types_of.items() if param_type.has_sample},
    }


def get_output_schema(function: Callable[..., Any]) -> dict[str, Any]:
    """v1's `schema_util.get_output_schema`. Raises `ValueError` when no `@output_schema` declares the function."""
    output = declared_of(function).output
    if output is None:
        raise ValueError("the function has no @output_schema")
    return output.input_to_swagger()


def is_schema_decorated(function: Callable[..., Any]) -> bool:
    """v1's `schema_util.is_schema_decorated`: whether `@input_schema` or `@output_schema` declares the function."""
    return _schema_of(function) is not None


def get_supported_versions(function: Callable[..., Any]) -> list[str]:
    """v1's `schema_util.get_supported_versions`: the versions of OpenAPI that all of its parameter types support."""
    declaration = declared_of(function)
    kinds = [declared.param_type for declared in declaration.inputs.values()]
    kinds += [declaration.output] if declaration.output is not None else []
    versions = [set(kind.supported_versions()) for kind in kinds]
    return sorted(set.intersection(*versions)) if versions else []
