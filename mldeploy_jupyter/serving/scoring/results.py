"""A result of `run()` as a response, and whether it is what the script declares."""

from __future__ import annotations

import re
from typing import Any

import orjson

from ..azureml.rawhttp import AMLResponse
from ..schema.base import ValidationError
from .json_encoder import NotJson, encode
from .messages import Response
from .script import Script


def encode_result(result: Any) -> Response:
    """The response that carries `result`. Raises `NotJson` when it cannot be sent."""
    if isinstance(result, AMLResponse):
        return _encode_aml_response(result)
    if result is None:
        return Response(200, b"{}")
    return Response(200, encode(result))


def output_mismatch(script: Script, result: Any) -> str | None:
    """How `result`, which can be sent, differs from `@output_schema` or the return hint of `run()`; None if it fits.

    A script that makes its own response (`AMLResponse`) is not checked.
    """
    output = script.output
    if output is None or isinstance(result, AMLResponse):
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

# Characters that would end a header early, and so let a script's data inject another (RFC 9110, section 5).
_BAD_NAME = re.compile(rb'[\x00-\x20\x7f()<>@,;:\\"/\[\]?={}]')

_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def _encode_aml_response(result: AMLResponse) -> Response:
    message = result.message
    if not 200 <= result.status_code <= 599:
        text = f"the status {result.status_code} cannot be sent"
        raise NotJson("status_code", text, "Use a status from 200 to 599.")
    headers = [
        (name.lower().encode("latin-1"), part.strip().encode("latin-1"))
        for name, value in result.response_headers.items()
        for part in str(value).split(",")
    ]
    if result.json_str:
        body, media = encode(message), b"application/json"
    elif isinstance(message, (bytes, bytearray, memoryview)):
        body, media = bytes(message), b"application/octet-stream"
    elif isinstance(message, str):
        body, media = message.encode(), b"text/html; charset=utf-8"
    else:
        body, media = encode(message), b"application/json"
    for name, part in headers:
        if not name or _BAD_NAME.search(name) or _BAD_VALUE.search(part):
            shown = name.decode("latin-1")
            raise NotJson(shown, "the header has characters that cannot be sent", "Leave line breaks out.")
    if result.status_code in (204, 205, 304):  # no body may follow: clients would read it as the next response
        body = b""
    headers = [pair for pair in headers if pair[0] not in (b"content-length", b"transfer-encoding", b"connection")]
    if not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", media))
    failed = result.run_function_failed or result.status_code >= 500
    return Response(result.status_code, body, headers, failed=failed)
