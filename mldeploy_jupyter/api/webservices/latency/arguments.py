"""What `measure_latency` and `Webservice.latency` take: one table of names, types and defaults for both."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def _optional(name: str, annotation: str, default: Any = None) -> Parameter:
    return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation)


def _named(name: str, annotation: str, default: Any = None) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _required(name: str, annotation: Any = Parameter.empty) -> Parameter:
    return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation)


LOAD = (
    _optional("rate", "float | None"),
    _optional("duration", "float | None"),
    _optional("users", "int | None"),
    _optional("arrivals", "str", "constant"),
    _optional("payload", "Any"),
    _optional("warmup", "int", 20),
    _optional("timeout", "float | None"),
    _optional("max_requests", "int | None"),
    _optional("ramp", "Iterable[float] | None"),
    _optional("seed", "int | None"),
)

_SHOW, _SAVE = _optional("show_output", "bool", True), _named("save", "bool", True)

FUNCTION = Signature(
    [
        _required("services", "Measurable | str | Sequence[Measurable | str]"),
        *LOAD,
        _SHOW,
        _SAVE,
        _named("workspace", "WorkspaceLike | None"),
        _named("allow_foreign", "bool", False),
        _named("key", "str | None"),
    ],
    return_annotation="LatencyResult",
)

METHOD = Signature(
    [
        _required("self"),
        *LOAD,
        _optional("with_", "Webservice | Sequence[Webservice]", ()),
        _SHOW,
        _SAVE,
    ],
    return_annotation="LatencyResult",
)


def takes(signature: Signature) -> Callable[[Function], Function]:
    """Shows this signature for a function of `*args` and `**kwargs`; `bind` applies it to a call."""

    def mark(function: Function) -> Function:
        function.__signature__ = signature  # type: ignore[attr-defined]
        return function

    return mark


def bind(signature: Signature, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, with defaults. Raises `TypeError` for a call that does not fit."""
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{name}() {error}") from None
    bound.apply_defaults()
    return dict(bound.arguments)
