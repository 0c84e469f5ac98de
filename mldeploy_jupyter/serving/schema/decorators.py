"""`input_schema` and `output_schema`. What they declare hangs on the function, not in a registry:

two scripts in one process, or a notebook cell that runs twice, do not disturb each other.
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
    """One `@input_schema`. `convert` is v1's `convert_to_provided_type`."""

    param_type: AbstractParameterType
    convert: bool = True
    optional: bool = False


@dataclass
class _Schema:
    plain: Callable[..., Any]
    inputs: dict[str, Declared] = field(default_factory=dict)
    output: AbstractParameterType | None = None


def input_schema(
    param_name: str, param_type: AbstractParameterType, convert_to_provided_type: bool = True, optional: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declares one parameter of `run()` by a sample. Decorate once for each parameter."""
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
    """Declares what `run()` returns, for the API description."""
    if not isinstance(output_type, AbstractParameterType):
        raise TypeError(f"output_schema: expected a parameter type, not {type(output_type).__name__}")

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        wrapper, schema = _wrap(function)
        schema.output = output_type
        return wrapper

    return decorate


def declared_of(function: Any) -> tuple[dict[str, Declared], AbstractParameterType | None, Callable[..., Any]]:
    """What was declared of a function: its inputs, its output, and the function without the decorators."""
    schema: _Schema | None = getattr(function, _DECLARED, None)
    if schema is None:
        return {}, None, function
    return dict(schema.inputs), schema.output, schema.plain


def _wrap(function: Callable[..., Any]) -> tuple[Callable[..., Any], _Schema]:
    inner: _Schema | None = getattr(function, _DECLARED, None)
    schema = _Schema(inner.plain, dict(inner.inputs), inner.output) if inner else _Schema(function)
    signature = inspect.signature(schema.plain)

    # Called by hand, in a notebook, the function converts its arguments as the service does.
    @functools.wraps(schema.plain)
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
        return schema.plain(*bound.args, **bound.kwargs)

    setattr(wrapper, _DECLARED, schema)
    return wrapper, schema
