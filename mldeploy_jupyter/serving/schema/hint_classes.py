"""Hints that are classes with fields: dataclasses, NamedTuple, TypedDict. In JSON each is an object."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from typing import Any

from .base import HintNode, ValidationError, json_type

MakeNode = Callable[[Any, dict[Any, Any]], HintNode]


def class_node(hint: Any, seen: dict[Any, Any], make_node: MakeNode) -> HintNode | None:
    """The node of such a class; None for another hint. Raises `UnknownHint` when one of its fields has it."""
    fields = _fields_of(hint) if isinstance(hint, type) else None
    if fields is None:
        return None
    if hint in seen:  # it has itself as a field: known once it is done
        return HintNode(lambda value, where: seen[hint].parse(value, where), {"type": "object"})
    seen[hint] = None
    node = _object_node(hint, fields, seen, make_node)
    seen[hint] = node
    return node


def _fields_of(cls: type) -> dict[str, bool] | None:
    """The names of the fields, and whether each is required."""
    if dataclasses.is_dataclass(cls):
        return {
            field.name: field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            for field in dataclasses.fields(cls)
            if field.init
        }
    if typing.is_typeddict(cls):
        required = cls.__required_keys__  # type: ignore[attr-defined]
        return {name: name in required for name in cls.__annotations__}
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return {name: name not in cls._field_defaults for name in cls._fields}  # type: ignore[attr-defined]
    return None


def _object_node(cls: type, fields: dict[str, bool], seen: dict[Any, Any], make_node: MakeNode) -> HintNode:
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except Exception:
        hints = {}
    for name, hint in hints.items():  # written in quotes, the class itself does not know these
        if typing.get_origin(hint) in (typing.Required, typing.NotRequired) and name in fields:
            fields[name] = typing.get_origin(hint) is typing.Required
    nodes = {name: make_node(hints.get(name, Any), seen) for name in fields}
    positional = issubclass(cls, tuple)
    make: Callable[..., Any] = dict if typing.is_typeddict(cls) else cls

    def parse(value: Any, where: str) -> Any:
        if positional and type(value) is list and len(value) == len(nodes):
            value, place = dict(zip(nodes, value, strict=True)), _numbered(where, list(nodes))
        else:
            place = _named(where)
        if type(value) is not dict:
            raise ValidationError(where, f"expected an object with {', '.join(nodes)}, got {json_type(value)}")
        for name in value:
            if name not in nodes:
                raise ValidationError(place(name), "there is no such field", f"The fields are: {', '.join(nodes)}.")
        for name, required in fields.items():
            if required and name not in value:
                raise ValidationError(place(name), "this field is missing", f"The fields are: {', '.join(nodes)}.")
        found = {name: nodes[name].parse(item, place(name)) for name, item in value.items()}
        try:
            return make(**found)
        except (TypeError, ValueError) as error:  # what __post_init__ says
            raise ValidationError(where, str(error) or type(error).__name__) from error

    schema: dict[str, Any] = {
        "type": "object",
        "title": cls.__name__,
        "properties": {name: node.schema for name, node in nodes.items()},
        "additionalProperties": False,
    }
    if needed := [name for name, required in fields.items() if required]:
        schema["required"] = needed
    return HintNode(parse, schema)


def _named(where: str) -> Callable[[str], str]:
    return lambda name: f"{where}.{name}" if where else name


def _numbered(where: str, names: list[str]) -> Callable[[str], str]:
    return lambda name: f"{where}[{names.index(name)}]"
