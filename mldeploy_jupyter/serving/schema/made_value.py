"""A made-up value of a JSON Schema, for hints that show what a body looks like."""

from __future__ import annotations

from typing import Any

MAX_ITEMS = 20  # of an array

_MADE: dict[str, Any] = {"integer": 1, "number": 1.5, "string": "text", "boolean": True, "null": None}

_FORMATS = {"date-time": "2024-01-31T12:00:00", "date": "2024-01-31", "time": "12:00:00", "duration": "PT1H"}


def make_value(schema: dict[str, Any]) -> Any:
    """A short value that `schema` allows.

    What the schema leaves open is as most services have it: an array of numbers has rows, a table has a column. Raises
    `ValueError`, `KeyError`, `TypeError` or `RecursionError` where none is found.
    """
    return _make(schema, schema)


def _make(schema: dict[str, Any], root: dict[str, Any]) -> Any:
    reference = schema.get("$ref", "")
    if reference.startswith("#/"):
        found: Any = root
        for name in reference[2:].split("/"):
            found = found[name]
        return _make(found, root)
    for key in ("enum", "examples"):
        if schema.get(key):
            return schema[key][0]
    if "const" in schema:
        return schema["const"]
    if schema.get("x-format") == "pandas.DataFrame" and _names_no_columns(schema):
        return [{"column": _MADE["number"]}]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _make(schema[key][0], root)
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "array":
        return _make_array(schema, root)
    if kind == "object":
        return _make_object(schema, root)
    if kind == "string":
        text = _FORMATS.get(schema.get("format", ""), "text")
        return text[: schema.get("maxLength", len(text))]
    return max(_MADE[kind], schema.get("minimum", _MADE[kind])) if kind in ("integer", "number") else _MADE[kind]


def _make_array(schema: dict[str, Any], root: dict[str, Any]) -> list[Any]:
    wanted = max(1, schema.get("minItems", 1))
    if wanted > MAX_ITEMS:
        raise ValueError("too long")
    first = schema.get("prefixItems") or []
    item = schema.get("items") or {}
    made = [_make(part, root) for part in (*first, *[item] * (wanted - len(first)))]
    # Of a numpy array of any number of axes: a number, or an array of anything.
    is_any_array = any(part.get("items") == {} for part in item.get("anyOf", ()) if part.get("type") == "array")
    return [made * 2] if is_any_array else made


def _make_object(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    if schema.get("properties"):
        required = schema.get("required") or schema["properties"]
        return {name: _make(item, root) for name, item in schema["properties"].items() if name in required}
    if schema.get("additionalProperties") is False:
        return {}
    return {"name": _make(schema.get("additionalProperties") or {"type": "number"}, root)}


def _names_no_columns(schema: dict[str, Any]) -> bool:
    return not any(form.get("items", {}).get("properties") for form in (schema, *schema.get("anyOf", ())))
