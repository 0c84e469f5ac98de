"""The service described: OpenAPI 3.1, 3.0 or Swagger 2, made from samples and parameters."""

from __future__ import annotations

from typing import Any

from ..settings import Settings
from .script import Script

VERSIONS = {"": "3.1", "3.1": "3.1", "3": "3.0", "3.0": "3.0", "2": "2.0", "2.0": "2.0"}

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

_RESPONSES = {
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
    """The document in `version` (3.1, 3.0 or 2.0)."""
    info = {
        "title": settings.title or settings.service or "ML service",
        "version": settings.label,
        "description": settings.description or f"Scores with the service {settings.service or 'ML service'}.",
    }
    request, media, example = _request(script)
    answer = script.output.schema() if script.output is not None else {}
    if version == "2.0":
        return _swagger(info, settings, older(request, "2.0"), media, example, older(answer, "2.0"))
    if version == "3.0":
        request, answer = older(request, "3.0"), older(answer, "3.0")
    content: dict[str, Any] = {media: {"schema": request}}
    if example is not None:
        content[media]["example"] = example
    ok = {media if script.mode == "raw" else "application/json": {"schema": answer}}
    errors = {
        code: {"description": text, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
        for code, text in _RESPONSES.items()
    }
    score: dict[str, Any] = {
        "operationId": "score",
        "summary": "Calls run()",
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "What run() returned", "content": ok}, **errors},
    }
    live = {"operationId": "live", "summary": "Liveness", "responses": {"200": {"description": "Alive"}}}
    ready = {
        "operationId": "ready",
        "summary": "Readiness",
        "responses": {"200": {"description": "Ready"}, "503": {"description": "Not ready yet"}},
    }
    components: dict[str, Any] = {"schemas": {"Error": _ERROR}}
    if settings.auth_enabled or settings.token_auth_enabled:
        score["security"] = [{"key": []}]
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    methods: dict[str, Any] = {"post": score}
    if script.mode == "raw":  # the script sees these too
        for method in ("get", "options"):
            rest = {key: value for key, value in score.items() if key != "requestBody"}
            methods[method] = {**rest, "operationId": f"score_{method}"}
    return {
        "openapi": "3.1.0" if version == "3.1" else "3.0.3",
        "info": info,
        "paths": {"/": {"get": live}, "/ready": {"get": ready}, "/score": methods},
        "components": components,
    }


def _request(script: Script) -> tuple[dict[str, Any], str, Any]:
    """The body's schema, its media type and an example (None without samples)."""
    if script.mode in ("raw", "bytes"):
        return {}, "application/octet-stream", None
    if script.mode == "text":
        return {}, "application/json", None
    properties = {p.name: p.declared.param_type.schema() if p.declared else {} for p in script.parameters}
    required = [p.name for p in script.parameters if p.required]
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return schema, "application/json", script.sample


def _swagger(
    info: dict[str, Any], settings: Settings, request: dict[str, Any], media: str, example: Any, answer: dict[str, Any]
) -> dict[str, Any]:
    body = {**request, **({"example": example} if example is not None else {})}
    score: dict[str, Any] = {
        "operationId": "score",
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
        "schemes": ["http"],
        "paths": {
            "/": {"get": {"operationId": "live", "responses": {"200": {"description": "Alive"}}}},
            "/score": {"post": score},
        },
        "definitions": {"ServiceInput": body, "ServiceOutput": answer, "ErrorResponse": _ERROR},
    }
    if settings.auth_enabled or settings.token_auth_enabled:
        score["security"] = [{"Bearer": []}]
        document["securityDefinitions"] = {"Bearer": {"type": "apiKey", "name": "Authorization", "in": "header"}}
    return document


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
