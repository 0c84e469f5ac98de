"""Constraints of `annotated_types` in hints, such as `Annotated[int, Gt(0)]`. Checked with and without pydantic."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterable
from typing import Any

from .base import HintNode, ValidationError, short_repr

# By name of the class: what it must be in words, the check, and the keyword of JSON Schema for numbers or lists.
_BOUNDS: dict[str, tuple[str, str, Callable[[Any, Any], bool], str]] = {
    "Gt": ("gt", "greater than", lambda value, bound: bool(value > bound), "exclusiveMinimum"),
    "Ge": ("ge", "at least", lambda value, bound: bool(value >= bound), "minimum"),
    "Lt": ("lt", "less than", lambda value, bound: bool(value < bound), "exclusiveMaximum"),
    "Le": ("le", "at most", lambda value, bound: bool(value <= bound), "maximum"),
    "MultipleOf": ("multiple_of", "a multiple of", lambda value, bound: bool(value % bound == 0), "multipleOf"),
}

_LENGTHS: dict[str, tuple[str, str, Callable[[Any, Any], bool], str]] = {
    "MinLen": ("min_length", "at least", lambda value, bound: len(value) >= bound, "min"),
    "MaxLen": ("max_length", "at most", lambda value, bound: len(value) <= bound, "max"),
}


def constraints_of(hint: Any, origin: Any) -> list[Any]:
    """The constraints of `annotated_types` in an `Annotated[...]`; empty for another hint, or one with pydantic's."""
    if origin is not typing.Annotated:
        return []
    packages = {type(item).__module__.partition(".")[0] for item in hint.__metadata__}
    if "annotated_types" not in packages or packages & {"pydantic", "pydantic_core"}:
        return []
    return list(_flat(hint.__metadata__))


def _flat(metadata: Iterable[Any]) -> Iterable[Any]:
    """The constraints without their groups: `Interval` and `Len` have several."""
    for item in metadata:
        if type(item).__module__.partition(".")[0] != "annotated_types":
            continue
        if type(item).__name__ in _BOUNDS or type(item).__name__ in _LENGTHS or not hasattr(item, "__iter__"):
            yield item
        else:
            yield from _flat(item)


def constrained_node(node: HintNode, constraints: list[Any]) -> HintNode:
    """The node with the constraints, which are checked after its own conversion."""
    checks = [check for item in constraints if (check := _check_of(item)) is not None]
    schema = dict(node.schema)
    for item in constraints:
        schema |= _keyword_of(item, schema)

    def parse(value: Any, where: str) -> Any:
        found = node.parse(value, where)
        for check in checks:
            check(found, where)
        return found

    return dataclasses.replace(node, parse=parse, schema=schema, parse_bulk=None, exact=None)


def _check_of(item: Any) -> Callable[[Any, str], None] | None:
    kind = type(item).__name__
    if kind in _BOUNDS:
        attribute, words, holds, _ = _BOUNDS[kind]
        return _comparison(getattr(item, attribute), words, holds, short_repr)
    if kind in _LENGTHS:
        attribute, words, holds, _ = _LENGTHS[kind]
        return _comparison(getattr(item, attribute), f"a length of {words}", holds, lambda value: str(len(value)))
    if kind == "Timezone":
        return _time_zone(item.tz)
    if kind in ("Predicate", "Not") and callable(getattr(item, "func", None)):
        return _predicate(item)
    return None


def _comparison(
    bound: Any, words: str, holds: Callable[[Any, Any], bool], shown: Callable[[Any], str]
) -> Callable[[Any, str], None]:
    def check(value: Any, where: str) -> None:
        try:
            is_fine = holds(value, bound)
        except (TypeError, ValueError) as error:
            raise ValidationError(where, f"expected {words} {bound}: {error}") from error
        if not is_fine:
            raise ValidationError(where, f"expected {words} {bound}, got {shown(value)}")

    return check


def _time_zone(zone: Any) -> Callable[[Any, str], None]:
    """The check of `Timezone`: `...` is any zone, None is none, otherwise a zone or its name."""
    words = {Ellipsis: "a time zone", None: "no time zone"}.get(zone, f"the time zone {zone}")

    def check(value: Any, where: str) -> None:
        found = getattr(value, "tzinfo", None)
        is_fine = found is not None if zone is ... else found is None if zone is None else str(found) == str(zone)
        if not is_fine:
            raise ValidationError(where, f"expected {words}, got {found or 'none'}")

    return check


def _predicate(item: Any) -> Callable[[Any, str], None]:
    name = getattr(item.func, "__name__", repr(item.func))

    def check(value: Any, where: str) -> None:
        if not item.func(value):
            raise ValidationError(where, f"{short_repr(value)} does not satisfy {name}")

    return check


def _keyword_of(item: Any, schema: dict[str, Any]) -> dict[str, Any]:
    """The keyword of JSON Schema for a constraint, where it has one."""
    kind = type(item).__name__
    if kind in _BOUNDS:
        bound = getattr(item, _BOUNDS[kind][0])
        is_number = isinstance(bound, (int, float)) and schema.get("type") in ("integer", "number")
        return {_BOUNDS[kind][3]: bound} if is_number else {}
    if kind in _LENGTHS:
        suffix = {"array": "Items", "string": "Length", "object": "Properties"}.get(str(schema.get("type")))
        bound = getattr(item, _LENGTHS[kind][0])
        return {f"{_LENGTHS[kind][3]}{suffix}": bound} if suffix and bound is not None else {}
    return {}
