"""`input_schema` and `output_schema`.

What they declare is an attribute of the function, not an entry in a registry, so that two scripts in one process, or a
notebook cell that runs twice, do not affect each other.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
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


@dataclass
class _Schema:
    undecorated: Callable[..., Any]
    inputs: dict[str, Declared] = field(default_factory=dict)
    output: AbstractParameterType | None = None


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


def declared_of(function: Any) -> tuple[dict[str, Declared], AbstractParameterType | None, Callable[..., Any]]:
    """The declared inputs by parameter, the declared output or None, and the function without the decorators."""
    schema: _Schema | None = getattr(function, _DECLARED, None)
    if schema is None:
        return {}, None, function
    return dict(schema.inputs), schema.output, schema.undecorated


def _wrap(function: Callable[..., Any]) -> tuple[Callable[..., Any], _Schema]:
    inner: _Schema | None = getattr(function, _DECLARED, None)
    schema = _Schema(inner.undecorated, dict(inner.inputs), inner.output) if inner else _Schema(function)
    signature = inspect.signature(schema.undecorated)

    # A direct call, in a notebook, converts its arguments as the service does.
    @functools.wraps(schema.undecorated)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        for name, declared in schema.inputs.items():
            value = bound.arguments.get(name)
            if (
                name in bound.arguments
                and declared.convert
                and not isinstance(value, declared.param_type.sample_data_type)
            ):
                bound.arguments[name] = declared.param_type.parse(value, name)
        return schema.undecorated(*bound.args, **bound.kwargs)

    setattr(wrapper, _DECLARED, schema)
    return wrapper, schema
