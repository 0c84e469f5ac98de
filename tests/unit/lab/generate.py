"""Writes what is made of the table of routes: `python -m tests.unit.lab.generate`. A test fails when it is stale.

Types come from `labextension/src/protocol.ts`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mldeploy_jupyter import __version__
from mldeploy_jupyter.lab.handlers import OPENAPI, STATUSES
from mldeploy_jupyter.lab.routes import PARTS, ROUTES, Route
from tests.unit.panel import protocol
from tests.unit.panel.protocol import Type

ROUTES_TS = Path(__file__).parents[3] / "labextension" / "src" / "lab" / "routes.ts"
MADE = "Made by `python -m tests.unit.lab.generate` from mldeploy_jupyter/lab/routes.py."


def typescript() -> str:
    """The table for the port."""
    rows = "".join(f"  '{r.request}': {{ method: '{r.method}', path: '{r.path}' }},\n" for r in ROUTES)
    return (
        f"/** Where each request goes. {MADE} */\n"
        "import type { Requests } from '../protocol';\n\n"
        "export interface Route { method: 'GET' | 'POST' | 'DELETE'; path: string }\n\n"
        f"export const ROUTES: Record<keyof Requests, Route> = {{\n{rows}}};\n"
    )


def openapi() -> str:
    """The description of all routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(f"/{route.path}", {})[route.method.lower()] = operation(route)
    paths |= stream_paths()
    names = [name for name in protocol.read_types() if name not in ("Requests", "Topics")]
    schemas = {name: schema(protocol.read_types()[name]) for name in names}
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "mldeploy in a Jupyter server",
            "version": __version__,
            "description": f"{MADE} Every route wants the Jupyter server's sign-in: a token in `Authorization`, or its "
            "cookie, and with that `X-XSRFToken` for whatever is no GET.",
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "servers": [{"url": "/mldeploy/api"}],
        "security": [{"token": []}, {"cookie": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "Authorization"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "_xsrf"},
            },
            "responses": {"Failure": answer("Why there is no answer.", Type("Failure"))},
        },
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def operation(route: Route) -> dict[str, Any]:
    params, result = protocol.requests()[route.request]
    fields = protocol.fields_of(params)
    rest = {name: field for name, field in fields.items() if name not in route.parts}
    found: dict[str, Any] = {
        "operationId": route.request,
        "tags": [route.request.partition(".")[0]],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern(name)}}
            for name in route.parts
        ],
    }
    if route.method == "POST":
        if rest:
            required = any(not optional for optional, _ in rest.values())
            body = {"application/json": {"schema": object_schema(rest)}}
            found["requestBody"] = {"required": required, "content": body}
    else:
        found["parameters"] += [
            {"name": name, "in": "query", "required": not optional, "schema": schema(kind)}
            for name, (optional, kind) in rest.items()
        ]
    found["responses"] = {"200": answer("The answer.", result), **failures()}
    return found


def failures() -> dict[str, Any]:
    return {str(code): {"$ref": "#/components/responses/Failure"} for code in sorted({*STATUSES.values(), 422})}


def answer(text: str, kind: Type) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema(kind)}}}


def pattern(part: str) -> str:
    return f"^(?:{PARTS[part].replace('(?::|%3[Aa])', ':')})$"


def stream_paths() -> dict[str, Any]:
    topics = {
        "oneOf": [
            {
                "type": "object",
                "properties": {"id": {"type": "string", "maxLength": 64}, "topic": {"const": topic},
                               "params": schema(params)},
                "required": ["id", "topic", "params"],
            }
            for topic, (params, _) in protocol.topics().items()
        ]
    }  # fmt: skip
    ids = {"type": "array", "items": {"type": "string"}}
    subscriptions = {"type": "array", "items": topics}
    event = {
        "oneOf": [
            {"type": "object", "properties": {"stream": {"type": "string"}}, "required": ["stream"]},
            {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "seq": {"type": "integer", "minimum": 1},
                    "event": {"oneOf": [schema(event) for _, event in protocol.topics().values()]},
                },
                "required": ["id", "seq", "event"],
            },
            {
                "type": "object",
                "properties": {"id": {"type": "string"}, "failure": {"$ref": "#/components/schemas/Failure"}},
                "required": ["id", "failure"],
            },
        ]
    }

    def body(key: str) -> dict[str, Any]:
        more = {"unsubscribe": ids} if key == "subscribe" else {}
        fields = {key: subscriptions, **more, "visible": {"type": "boolean"}}
        content = {"schema": {"type": "object", "properties": fields, "additionalProperties": False}}
        return {"required": True, "content": {"application/json": content}}

    opened = {
        "description": "Server-sent events: the stream's id first, then events and refusals of its subscriptions.",
        "content": {"text/event-stream": {"schema": event}},
    }
    id_parameter = {"name": "stream", "in": "path", "required": True,
                    "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"}}  # fmt: skip
    return {
        "/stream": {
            "post": {
                "operationId": "stream.open",
                "tags": ["stream"],
                "requestBody": body("subscriptions"),
                "responses": {"200": opened, **failures()},
            }
        },
        "/stream/{stream}": {
            "post": {
                "operationId": "stream.change",
                "tags": ["stream"],
                "parameters": [id_parameter],
                "requestBody": body("subscribe"),
                "responses": {"204": {"description": "It was changed."}, **failures()},
            }
        },
    }


def schema(kind: Type) -> dict[str, Any]:
    """A type of the contract as JSON Schema."""
    if kind.kind in protocol.read_types():
        return {"$ref": f"#/components/schemas/{kind.kind}"}
    if kind.kind == "member":
        return schema(protocol.resolve(kind))
    if kind.kind in ("string", "number", "boolean", "null"):
        return {"type": kind.kind}
    if kind.kind == "unknown":
        return {}
    if kind.kind == "literal":
        return {"const": kind.parts[0]}
    if kind.kind == "array":
        return {"type": "array", "items": schema(kind.parts[0])}
    if kind.kind == "tuple":
        items = [schema(part) for part in kind.parts]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if kind.kind == "record":
        if kind.parts[1] == Type("never"):
            return {"type": "object", "additionalProperties": False}
        return {"type": "object", "additionalProperties": schema(kind.parts[1])}
    if kind.kind == "union":
        if all(part.kind == "literal" for part in kind.parts):
            return {"enum": [part.parts[0] for part in kind.parts]}
        return {"anyOf": [schema(part) for part in kind.parts]}
    return object_schema(protocol.fields_of(kind))


def object_schema(fields: dict[str, tuple[bool, Type]]) -> dict[str, Any]:
    required = [name for name, (optional, _) in fields.items() if not optional]
    return {
        "type": "object",
        "properties": {name: schema(kind) for name, (_, kind) in fields.items()},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def pages() -> dict[Path, str]:
    """Every file that is made, and its content."""
    return {OPENAPI: openapi(), ROUTES_TS: typescript()}


if __name__ == "__main__":
    for path, text in pages().items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print("wrote", re.sub(r".*/(?=mldeploy_jupyter/|labextension/)", "", str(path)))
