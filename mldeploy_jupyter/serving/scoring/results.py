"""A result of `run()` as a response, and whether it is what the script declares."""

from __future__ import annotations

import re
from typing import Any

import orjson

from ..json_encoder import NotJson, encode
from ..schema.base import ValidationError
from .http_response import encode_http_response, is_http_response
from .messages import Response
from .script import Script


def encode_result(result: Any, is_declared: bool = True) -> Response:
    """The response that carries `result`. Raises `NotJson` when it cannot be sent.

    Bytes become base64 where `run()` declares what it returns (`is_declared`): without that, they may be a picture.
    """
    if is_http_response(result):
        return encode_http_response(result)
    if result is None:
        return Response(200, b"{}")
    if type(result) in (bytes, bytearray) and not is_declared:
        hint = "Return AMLResponse(data, 200) to send bytes as they are; the hint `-> bytes` makes them base64."
        raise NotJson("", f"a value of type {type(result).__name__} has no form in JSON", hint)
    return Response(200, encode(result))


def output_mismatch(script: Script, result: Any) -> str | None:
    """How `result`, which can be sent, differs from `@output_schema` or the return hint of `run()`; None if it fits.

    A script that makes its own response, such as an `AMLResponse`, is not checked.
    """
    output = script.output
    if output is None or is_http_response(result):
        return None
    try:
        if output.accepts_result(result) or output.parse_bulk(result, False) is not None:
            return None
        try:
            output.parse(result, "")
        except Exception:  # a Python value that only fits in its JSON form, such as an array
            output.parse(orjson.loads(encode(result)), "")
    except ValidationError as error:
        return f"at {error.where}: {error.text}" if error.where else error.text
    except RecursionError:
        return "the result is nested too deeply"
    return None


class ReportedMismatches:
    """The places of mismatches that were logged, at most `limit`, so that each is logged once.

    Places that differ only in indices are the same: `[3].age` and `[4].age`.
    """

    def __init__(self, limit: int = 100) -> None:
        self._places: set[str] = set()
        self._limit = limit

    def is_new(self, mismatch: str) -> bool:
        """Whether this is the first at its place; from then on it is not. Always False once `limit` is reached."""
        place = _INDEX.sub("[]", mismatch.partition(": ")[0]) if mismatch.startswith("at ") else ""
        if place in self._places or len(self._places) >= self._limit:
            return False
        self._places.add(place)
        return True


_INDEX = re.compile(r"\[\d+\]")
