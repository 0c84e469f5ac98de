"""Schemas in the forms that generators of clients read, among those that mean the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]

# Where schemas have schemas: by name, in a list, or one.
_BY_NAME = ("properties", "patternProperties", "$defs", "definitions")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "propertyNames", "contains", "not")

_SCALARS = frozenset({"string", "number", "integer", "boolean"})


def join_null(schema: Schema) -> Schema:
    """The schema with `type: [T, null]` instead of `anyOf: [{type: T}, {type: null}]`, for scalars.

    openapi-generator fails with `anyOf` and a type that is null alone, openapi-python-client with an object or an array
    in a list of types.
    """
    found = _map_schemas(schema, join_null)
    choices = found.get("anyOf", ())
    others = [choice for choice in choices if choice != {"type": "null"}]
    if len(choices) != 2 or len(others) != 1:
        return found
    [other] = others
    types = other["type"] if isinstance(other.get("type"), list) else [other.get("type")]
    scalars = [type for type in types if type != "null"]  # an optional type that is optional once more has it already
    if not scalars or not _SCALARS.issuperset(scalars):
        return found
    if not other.keys().isdisjoint(("enum", "const")):  # which would have to name null, too
        return found
    del found["anyOf"]
    return {**found, **other, "type": [*scalars, "null"]}


def drop_repeated_titles(schema: Schema, seen: set[str]) -> Schema:
    """The schema without titles of objects that are in `seen`, to which it adds those that it keeps.

    Generators make a class of each. bravado refuses two of one name, openapi-python-client leaves the operation out.
    """
    found = dict(schema)
    if "properties" in found and "title" in found:
        if found["title"] in seen:
            del found["title"]
        else:
            seen.add(found["title"])
    return _map_schemas(found, lambda inner: drop_repeated_titles(inner, seen))


def _map_schemas(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    found = dict(schema)
    for key, value in schema.items():
        if key in _BY_NAME and isinstance(value, dict):
            found[key] = {name: _changed(item, change) for name, item in value.items()}
        elif key in _LISTS and isinstance(value, list):
            found[key] = [_changed(item, change) for item in value]
        elif key in _SINGLE:
            found[key] = _changed(value, change)
    return found


def _changed(item: Any, change: Callable[[Schema], Schema]) -> Any:
    return change(item) if isinstance(item, dict) else item
