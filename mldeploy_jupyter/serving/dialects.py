"""JSON Schema 2020-12, which OpenAPI 3.1 speaks, in the dialects of OpenAPI 3.0 and Swagger 2."""

from __future__ import annotations

from typing import Any

_KEPT = {
    *("type", "format", "title", "description", "default", "enum", "pattern", "required", "example"),
    *("minimum", "maximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems"),
    *("minProperties", "maxProperties", "exclusiveMinimum", "exclusiveMaximum"),
    *("properties", "items", "additionalProperties", "allOf", "anyOf"),
}


def older(schema: dict[str, Any], version: str) -> dict[str, Any]:
    """`schema` for `version` 3.0 or 2.0. What a dialect cannot say is left out: it then allows more."""
    nullable = "nullable" if version == "3.0" else "x-nullable"
    found = {key: value for key, value in schema.items() if key in _KEPT or key.startswith("x-")}
    if "const" in schema:
        found["enum"] = [schema["const"]]
    if schema.get("contentEncoding"):
        found["format"] = "byte"
    if "oneOf" in schema:
        found["anyOf"] = schema["oneOf"]
    if "prefixItems" in schema:
        found["items"] = {}
    if schema.get("examples"):
        found["example"] = schema["examples"][0]
    _bounds(found)
    _types(found, nullable)
    _choices(found, version, nullable)
    if "properties" in found:
        found["properties"] = {name: older(item, version) for name, item in found["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = older(found[key], version)
    if "allOf" in found:
        found["allOf"] = [older(item, version) for item in found["allOf"]]
    if found.get("type") == "array":
        found.setdefault("items", {})
    if found.get("default", ...) is None and not (version == "3.0" and found.get(nullable)):
        del found["default"]
    return found


def _bounds(found: dict[str, Any]) -> None:
    for key, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if key in found and not isinstance(found[key], bool):
            found[inclusive], found[key] = found[key], True


def _types(found: dict[str, Any], nullable: str) -> None:
    kinds = found.get("type")
    if kinds is None:
        return
    names = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind != "null"]
    if "null" in kinds if isinstance(kinds, list) else kinds == "null":
        found[nullable] = True
    if len(names) == 1:
        found["type"] = names[0]
    else:
        del found["type"]


def _choices(found: dict[str, Any], version: str, nullable: str) -> None:
    choices = found.pop("anyOf", None)
    if choices is None:
        return
    others = [item for item in choices if item.get("type") != "null"]
    if len(others) < len(choices):
        found[nullable] = True
    if len(others) == 1:
        for key, value in older(others[0], version).items():
            found.setdefault(key, value)
    elif others and version == "3.0":
        found["anyOf"] = [older(item, version) for item in others]
