"""An example body in the hints of refusals, so that a caller need not fetch the service's description."""

from __future__ import annotations

from typing import Any

import orjson

from .arguments import parse_arguments
from .messages import Refused, Request, Response
from .openapi import request_of
from .script import Script

MAX_CHARACTERS = 300  # of an example; a longer one helps nobody in one line

MAX_ITEMS = 20  # of an array, and properties of an object

_MADE: dict[str, Any] = {"integer": 1, "number": 1.5, "string": "text", "boolean": True, "null": None, "object": {}}

_FORMATS = {"date-time": "2024-01-31T12:00:00", "date": "2024-01-31", "time": "12:00:00", "duration": "PT1H"}

# What is wrong with the body as a whole. Another hint stands before the example.
_WHOLE_BODY = frozenset(("empty-body", "not-an-object", "missing-parameter"))


class ExampleHint:
    """Adds an example to refusals of one script's requests. It is made when the first request is refused."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._example: str | None = None

    def complete(self, response: Response) -> Response:
        """The refusal with an example in its hint: where it has no hint, or the body as a whole is not right."""
        if response.status not in (400, 422):
            return response
        content = orjson.loads(response.body)
        error = content["error"]
        if error["hint"] and error["code"] not in _WHOLE_BODY:
            return response
        if self._example is None:
            self._example = make_example(self._script)
        if self._example:
            error["hint"] = f"{error['hint']} For example: {self._example}".strip()
            response.body = orjson.dumps(content)
        return response


def make_example(script: Script) -> str:
    """A body that the script's schema accepts, as JSON. "" where none is found, or none that is short.

    It has the schema's form and made-up values: the sample's own may be private.
    """
    if script.mode != "object":
        return ""
    schema, _, _ = request_of(script)
    try:
        body = orjson.dumps(_make_value(schema, schema))
        if len(body) > MAX_CHARACTERS:
            return ""
        parse_arguments(script, Request(headers={"content-type": "application/json"}, body=body))
    except (Refused, RecursionError, TypeError, ValueError, KeyError):
        return ""
    return body.decode()


def _make_value(schema: dict[str, Any], root: dict[str, Any]) -> Any:
    reference = schema.get("$ref", "")
    if reference.startswith("#/"):
        found: Any = root
        for name in reference[2:].split("/"):
            found = found[name]
        return _make_value(found, root)
    for key in ("enum", "examples"):
        if schema.get(key):
            return schema[key][0]
    if "const" in schema:
        return schema["const"]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _make_value(schema[key][0], root)
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "array":
        wanted = max(1, schema.get("minItems", 1))
        if wanted > MAX_ITEMS:
            raise ValueError("too long")
        first = schema.get("prefixItems") or []
        rest = [schema.get("items") or {}] * (wanted - len(first))
        return [_make_value(item, root) for item in (*first, *rest)]
    if kind == "object" and schema.get("properties"):
        required = schema.get("required", ())
        return {name: _make_value(item, root) for name, item in schema["properties"].items() if name in required}
    if kind == "string":
        text = _FORMATS.get(schema.get("format", ""), "text")
        return text[: schema.get("maxLength", len(text))]
    return max(_MADE[kind], schema.get("minimum", _MADE[kind])) if kind in ("integer", "number") else _MADE[kind]
