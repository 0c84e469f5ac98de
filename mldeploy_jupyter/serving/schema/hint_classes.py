"""Hints that are classes with fields: dataclasses, NamedTuple, TypedDict. In JSON each is an object."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from typing import Any

from .base import HintNode, ValidationError, json_type

# Schemas of a class that are written out wherever it is mentioned. Classes that mention others several times each would
# double the document with every level.
REPEATED_SCHEMAS = 200

MakeNode = Callable[[Any, dict[Any, Any]], HintNode]


def class_node(hint: Any, seen: dict[Any, Any], make_node: MakeNode) -> HintNode | None:
    """The node of such a class; None for another hint. `seen` and `make_node` are those of `hints.make_node`.

    Raises `UnknownHint` when it is raised for one of the fields.
    """
    required = _fields_of(hint) if isinstance(hint, type) else None
    if required is None:
        return None
    if hint in seen:
        known: HintNode | None = seen[hint]
        if known is not None and count_schemas(known.schema, REPEATED_SCHEMAS) < REPEATED_SCHEMAS:
            return known  # mentioned once more
        # It refers to itself, or is long: its node is looked up when a value is parsed.
        return HintNode(lambda value, where: seen[hint].parse(value, where), {"type": "object"})
    seen[hint] = None
    node = _object_node(hint, required, seen, make_node)
    seen[hint] = node
    return node


def count_schemas(schema: Any, limit: int) -> int:
    """The number of objects in a schema, at most `limit`."""
    count, waiting = 0, [schema]
    while waiting and count < limit:
        part = waiting.pop()
        if isinstance(part, dict):
            count += 1
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return count


def _fields_of(cls: type) -> dict[str, bool] | None:
    """The names of the fields, and whether each is required; None for a class without fields."""
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


def _object_node(cls: type, required: dict[str, bool], seen: dict[Any, Any], make_node: MakeNode) -> HintNode:
    hints = _field_hints(cls)
    for name, hint in hints.items():  # __required_keys__ is wrong for hints written as strings
        if typing.get_origin(hint) in (typing.Required, typing.NotRequired) and name in required:
            required[name] = typing.get_origin(hint) is typing.Required
    nodes = {name: make_node(hints.get(name, Any), seen) for name in required}
    positional = issubclass(cls, tuple)
    make: Callable[..., Any] = dict if typing.is_typeddict(cls) else cls

    def parse(value: Any, where: str) -> Any:
        place = _place_by_name(where)
        if positional and type(value) is list and len(value) == len(nodes):
            value, place = dict(zip(nodes, value, strict=True)), _place_by_index(where, list(nodes))
        if type(value) is not dict:
            raise ValidationError(where, f"expected an object with {', '.join(nodes)}, got {json_type(value)}")
        _check_names(value, required, place)
        fields = {name: nodes[name].parse(item, place(name)) for name, item in value.items()}
        try:
            return make(**fields)
        except (TypeError, ValueError) as error:  # raised by __post_init__
            raise ValidationError(where, str(error) or type(error).__name__) from error

    schema: dict[str, Any] = {
        "type": "object",
        "title": cls.__name__,
        "properties": {name: node.schema for name, node in nodes.items()},
        "additionalProperties": False,
    }
    if any(required.values()):
        schema["required"] = [name for name, is_required in required.items() if is_required]
    if positional:  # as run() returns it, and as clients may send it
        size = {"minItems": len(nodes), "maxItems": len(nodes)}
        items = [node.schema for node in nodes.values()]
        schema = {"anyOf": [schema, {"type": "array", "prefixItems": items, "items": {}, **size}]}
    return HintNode(parse, schema)


def _field_hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except Exception:  # a name that exists for type checkers only: the fields take any value
        return {}


def _check_names(value: dict[str, Any], required: dict[str, bool], place: Callable[[str], str]) -> None:
    for name in value:
        if name not in required:
            raise ValidationError(place(name), "there is no such field", f"The fields are: {', '.join(required)}.")
    for name, is_required in required.items():
        if is_required and name not in value:
            raise ValidationError(place(name), "this field is missing", f"The fields are: {', '.join(required)}.")


def _place_by_name(where: str) -> Callable[[str], str]:
    return lambda name: f"{where}.{name}" if where else name


def _place_by_index(where: str, names: list[str]) -> Callable[[str], str]:
    return lambda name: f"{where}[{names.index(name)}]"
