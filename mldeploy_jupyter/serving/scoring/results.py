"""A result of `run()` as a response, and whether it is what the script declares."""

from __future__ import annotations

import re
from typing import Any

import orjson

from ..azureml.aml_response import AMLResponse, header_problem
from ..schema.base import ValidationError
from .json_encoder import NotJson, encode
from .messages import Response
from .script import Script


def encode_result(result: Any, is_declared: bool = True) -> Response:
    """The response that carries `result`. Raises `NotJson` when it cannot be sent.

    Bytes become base64 where `run()` declares what it returns (`is_declared`): without that, they may be a picture.
    """
    if isinstance(result, AMLResponse):
        return _encode_aml_response(result)
    if result is None:
        return Response(200, b"{}")
    if type(result) in (bytes, bytearray) and not is_declared:
        hint = "Return AMLResponse(data, 200) to send bytes as they are; the hint `-> bytes` makes them base64."
        raise NotJson("", f"a value of type {type(result).__name__} has no form in JSON", hint)
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


def _encode_aml_response(result: AMLResponse) -> Response:
    message, status = result.message, int(result.status_code)
    headers = [
        (name, part.strip()) for name, value in result.response_headers.items() for part in str(value).split(",")
    ]
    if headers:
        # What was set in `headers` replaces what the constructor got.
        headers = [pair for pair in headers if pair[0] not in result.headers]
        for name, part in headers:
            if problem := header_problem(name, part):
                raise NotJson(name[:80], problem, "Leave line breaks out.")
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in (*headers, *result.headers)]
    body, media = _encode_message(message, result.json_str)
    if status in (204, 205, 304):  # no body may follow: clients would read it as the next response
        body = b""
    pairs = [pair for pair in pairs if pair[0] not in (b"content-length", b"transfer-encoding", b"connection")]
    if not any(name == b"content-type" for name, _ in pairs):
        pairs.append((b"content-type", media))
    return Response(status, body, pairs, failed=result.run_function_failed or status >= 500)


def _encode_message(message: Any, json_str: bool) -> tuple[bytes, bytes]:
    """The body and its content type."""
    if message is None:
        return b"{}", b"application/json"
    if json_str:
        return encode(message), b"application/json"
    if callable(getattr(message, "read", None)):
        message = message.read()
    elif hasattr(message, "__next__"):
        parts = list(message)
        if all(isinstance(part, (str, bytes)) for part in parts):
            message = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message), b"application/octet-stream"
    if isinstance(message, str):
        return message.encode(), b"text/html; charset=utf-8"
    return encode(message), b"application/json"
