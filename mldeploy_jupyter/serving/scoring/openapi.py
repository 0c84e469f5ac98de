"""The description of a service: OpenAPI 3.1, OpenAPI 3.0 or Swagger 2, made from samples and type hints.

The schemas of parameters are JSON Schema, as OpenAPI 3.1 has it. The older formats have dialects of their own, into
which `to_dialect` translates.
"""

from __future__ import annotations

from typing import Any

from ..settings import Settings
from .client_forms import drop_repeated_titles, join_null
from .script import Script

# What a client may ask for (`?version=`) -> the version it gets.
VERSIONS = {"": "3.1", "3.1": "3.1", "3": "3.0", "3.0": "3.0", "2": "2.0", "2.0": "2.0"}

# Generators of clients name modules and classes after tags; bravado loads no path `/` without one.
_SCORE, _HEALTH = "score", "health"
_TAGS = [
    {"name": _SCORE, "description": "Calls of the entry script"},
    {"name": _HEALTH, "description": "For probes, without a key"},
]

_ERROR = {
    "type": "object",
    "properties": {
        "message": {"type": "string"},
        "error": {
            "type": "object",
            "properties": {"code": {"type": "string"}, "where": {"type": "string"}, "hint": {"type": "string"}},
        },
    },
    "required": ["message"],
}

_ERROR_STATUSES = {
    "400": "The body cannot be parsed",
    "401": "A key is missing or wrong",
    "413": "The body is too large",
    "415": "Wrong content type",
    "422": "The body does not fit the schema",
    "429": "Too many requests are waiting",
    "500": "The entry script failed",
    "503": "Starting, or overloaded",
    "504": "run() passed its deadline",
}


def describe_service(script: Script, settings: Settings, version: str) -> dict[str, Any]:
    """The document in `version`, which is 3.1, 3.0 or 2.0."""
    info = {
        "title": settings.title or settings.service or "ML service",
        "version": settings.label,
        "description": settings.description or f"Scores with the service {settings.service or 'ML service'}.",
    }
    request, media, example = request_of(script)
    result = script.output.schema() if script.output is not None else {}
    if script.contract is not None:
        result = script.contract.result
    if version == "3.1":
        request, result = join_null(request), join_null(result)
    else:
        request, result = to_dialect(request, version), to_dialect(result, version)
    seen = {"ServiceInput", "ServiceOutput", "ErrorResponse", "Error"}  # the document's own
    request, result = drop_repeated_titles(request, seen), drop_repeated_titles(result, seen)
    if version == "2.0":
        return _swagger(info, settings, request, media, example, result)
    content: dict[str, Any] = {media: {"schema": request}}
    if example is not None:
        content[media]["example"] = example
    return _openapi(info, script, settings, version, content, result)


def request_of(script: Script) -> tuple[dict[str, Any], str, Any]:
    """The body's schema, its media type and an example (None without samples)."""
    if script.contract is not None:
        return script.contract.request, "application/json", script.sample
    if script.mode in ("raw", "bytes"):
        return {}, "application/octet-stream", None
    if script.mode == "text":
        return {}, "application/json", None
    properties = {p.name: p.declared.param_type.schema() if p.declared else {} for p in script.parameters}
    required = [p.name for p in script.parameters if p.required]
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if not script.ignores_unknown_keys:
        schema["additionalProperties"] = False
    return schema, "application/json", script.sample


def _openapi(
    info: dict[str, Any],
    script: Script,
    settings: Settings,
    version: str,
    content: dict[str, Any],
    result: dict[str, Any],
) -> dict[str, Any]:
    any_http = script.mode == "raw" and script.contract is None
    ok = {"application/octet-stream" if any_http else "application/json": {"schema": result}}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    errors = {code: {"description": text, "content": error} for code, text in _ERROR_STATUSES.items()}
    score: dict[str, Any] = {
        "operationId": "score",
        "tags": [_SCORE],
        "summary": "Calls run()",
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "What run() returned", "content": ok}, **errors},
    }
    live = _live()
    ready = {
        "operationId": "ready",
        "tags": [_HEALTH],
        "summary": "Readiness",
        "responses": {"200": {"description": "Ready"}, "503": {"description": "Not ready yet"}},
    }
    components: dict[str, Any] = {"schemas": {"Error": _ERROR}}
    if settings.auth_enabled or settings.token_auth_enabled:
        score["security"] = [{"key": []}]
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    methods: dict[str, Any] = {"post": score}
    if any_http:  # such a script gets these methods too
        for method in ("get", "options"):
            rest = {key: value for key, value in score.items() if key != "requestBody"}
            methods[method] = {**rest, "operationId": f"score_{method}"}
    return {
        "openapi": "3.1.0" if version == "3.1" else "3.0.3",
        "info": info,
        "tags": _TAGS,
        "paths": {"/": {"get": live}, "/ready": {"get": ready}, "/score": methods},
        "components": components,
    }


def _live() -> dict[str, Any]:
    alive = {"200": {"description": "Alive"}}
    return {"operationId": "live", "tags": [_HEALTH], "summary": "Liveness", "responses": alive}


def _swagger(
    info: dict[str, Any], settings: Settings, request: dict[str, Any], media: str, example: Any, result: dict[str, Any]
) -> dict[str, Any]:
    body = {**request, **({"example": example} if example is not None else {})}
    score: dict[str, Any] = {
        "operationId": "score",
        "tags": [_SCORE],
        "consumes": [media],
        "produces": ["application/json"],
        "parameters": [
            {"name": "body", "in": "body", "required": True, "schema": {"$ref": "#/definitions/ServiceInput"}}
        ],
        "responses": {
            "200": {"description": "What run() returned", "schema": {"$ref": "#/definitions/ServiceOutput"}},
            "default": {"description": "An error", "schema": {"$ref": "#/definitions/ErrorResponse"}},
        },
    }
    document: dict[str, Any] = {
        "swagger": "2.0",
        "info": info,
        "tags": _TAGS,
        "schemes": ["http"],
        "paths": {
            "/": {"get": _live()},
            "/score": {"post": score},
        },
        "definitions": {"ServiceInput": body, "ServiceOutput": result, "ErrorResponse": _ERROR},
    }
    if settings.auth_enabled or settings.token_auth_enabled:
        score["security"] = [{"Bearer": []}]
        document["securityDefinitions"] = {"Bearer": {"type": "apiKey", "name": "Authorization", "in": "header"}}
    return document


# -- dialects of JSON Schema ---------------------------------------------------------------------------------

# Keywords that the older dialects share with JSON Schema.
_SHARED_KEYWORDS = {
    *("type", "format", "title", "description", "default", "enum", "pattern", "required", "example"),
    *("minimum", "maximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems"),
    *("minProperties", "maxProperties", "exclusiveMinimum", "exclusiveMaximum"),
    *("properties", "items", "additionalProperties", "allOf", "anyOf"),
}


def to_dialect(schema: dict[str, Any], version: str) -> dict[str, Any]:
    """`schema` in the dialect of OpenAPI 3.0 or Swagger 2.0 (`version`).

    What the dialect cannot express is left out, so that it allows more.
    """
    nullable = "nullable" if version == "3.0" else "x-nullable"
    found = {key: value for key, value in schema.items() if key in _SHARED_KEYWORDS or key.startswith("x-")}
    _replace_keywords(schema, found)
    _replace_types(found, nullable)
    _replace_choices(found, version, nullable)
    if "properties" in found:
        found["properties"] = {name: to_dialect(item, version) for name, item in found["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = to_dialect(found[key], version)
    if "allOf" in found:
        found["allOf"] = [to_dialect(item, version) for item in found["allOf"]]
    if found.get("type") == "array":
        found.setdefault("items", {})
    if found.get("default", ...) is None:  # as default of an object or array, openapi-generator refuses it
        del found["default"]
    return found


def _replace_keywords(schema: dict[str, Any], found: dict[str, Any]) -> None:
    """Adds to `found` the nearest equivalents of keywords in `schema` that the dialects do not have."""
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
    for key, inclusive in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if key in found and not isinstance(found[key], bool):  # there it is a flag beside the bound
            found[inclusive], found[key] = found[key], True


def _replace_types(found: dict[str, Any], nullable: str) -> None:
    """One type instead of a list of types, null as the flag `nullable`, and no type where there are several."""
    types = found.get("type")
    if types is None:
        return
    names = [name for name in (types if isinstance(types, list) else [types]) if name != "null"]
    if "null" in types if isinstance(types, list) else types == "null":
        found[nullable] = True
    if len(names) == 1:
        found["type"] = names[0]
    else:
        del found["type"]


def _replace_choices(found: dict[str, Any], version: str, nullable: str) -> None:
    """`anyOf` without null; a single choice takes its place. Swagger 2 has no `anyOf`."""
    choices = found.pop("anyOf", None)
    if choices is None:
        return
    others = [item for item in choices if item.get("type") != "null"]
    if len(others) < len(choices):
        found[nullable] = True
    if len(others) == 1:
        for key, value in to_dialect(others[0], version).items():
            found.setdefault(key, value)
    elif others and version == "3.0":
        found["anyOf"] = [to_dialect(item, version) for item in others]
