"""What `run()` returned as an answer."""

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
    """The answer that carries `result`. Raises `NotJson` when it has no form that can be sent."""
    if isinstance(result, AMLResponse):
        return _from_aml(result)
    if result is None:
        return Response(200, b"{}")
    return Response(200, encode(result))


def output_mismatch(script: Script, result: Any) -> str | None:
    """Why `result`, which can be sent, is not what `@output_schema` or the hint of `run()` says; None: it is.

    A script that makes its own answer (`AMLResponse`) is not checked.
    """
    kind = script.output
    if kind is None or isinstance(result, AMLResponse):
        return None
    try:
        if kind.accepts_result(result) or kind.parse_bulk(result, False) is not None:
            return None
        try:
            kind.parse(result, "")
        except Exception:  # perhaps only its form in JSON fits
            kind.parse(orjson.loads(encode(result)), "")
    except ValidationError as misfit:
        return f"at {misfit.where}: {misfit.text}" if misfit.where else misfit.text
    except RecursionError:
        return "the result is nested too deeply"
    return None


class ReportedMismatches:
    """The misfits that were seen, so that each is told once: `[3].age` and `[4].age` are the same."""

    def __init__(self, most: int = 100) -> None:
        self._seen: set[str] = set()
        self._most = most

    def is_new(self, misfit: str) -> bool:
        place = _NUMBERS.sub("[]", misfit.partition(": ")[0]) if misfit.startswith("at ") else ""
        if place in self._seen or len(self._seen) >= self._most:
            return False
        self._seen.add(place)
        return True


_NUMBERS = re.compile(r"\[\d+\]")

# What would break the connection: control characters, and separators in a header's name.
_BAD_NAME = re.compile(rb'[\x00-\x20\x7f()<>@,;:\\"/\[\]?={}]')

_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def _from_aml(result: AMLResponse) -> Response:
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
        body, kind = encode(message), b"application/json"
    elif isinstance(message, (bytes, bytearray, memoryview)):
        body, kind = bytes(message), b"application/octet-stream"
    elif isinstance(message, str):
        body, kind = message.encode(), b"text/html; charset=utf-8"
    else:
        body, kind = encode(message), b"application/json"
    for name, part in headers:
        if not name or _BAD_NAME.search(name) or _BAD_VALUE.search(part):
            shown = name.decode("latin-1")
            raise NotJson(shown, "the header has characters that cannot be sent", "Leave line breaks out.")
    if result.status_code in (204, 205, 304):  # these have no body; one would be read as the next answer
        body = b""
    headers = [pair for pair in headers if pair[0] not in (b"content-length", b"transfer-encoding", b"connection")]
    if not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", kind))
    failed = result.run_function_failed or result.status_code >= 500
    return Response(result.status_code, body, headers, failed=failed)
