"""An example body in the hints of refusals, so that a caller need not fetch the service's description."""

from __future__ import annotations

import orjson

from ..schema.made_value import make_value
from .arguments import parse_arguments
from .messages import Refused, Request, Response
from .openapi import request_of
from .script import Script

MAX_CHARACTERS = 300  # of an example; a longer one is not readable in one line

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
        body = orjson.dumps(make_value(schema))
        if len(body) > MAX_CHARACTERS:
            return ""
        parse_arguments(script, Request(headers={"content-type": "application/json"}, body=body))
    except (Refused, RecursionError, TypeError, ValueError, KeyError):
        return ""
    return body.decode()
