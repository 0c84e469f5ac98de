"""A response that the script made itself: `AMLResponse`, or any other of werkzeug's and Flask's."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import Any

from ..json_encoder import NotJson
from .messages import Response, error_response

# Characters that would end a header early, and so let a script's data inject another (RFC 9110, section 5).
# Compiled when a script makes the first such response.
_BAD_NAME = r'[\x00-\x20\x7f-\U0010ffff()<>@,;:\\"/\[\]?={}]'

_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# The server frames the body itself.
_FRAMING = (b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"upgrade", b"trailer")

_FAILED = b"x-ms-run-function-failed"


def is_http_response(result: Any) -> bool:
    """Whether `result` is a response of werkzeug's, which is not imported for the question."""
    werkzeug = sys.modules.get("werkzeug.wrappers")
    return werkzeug is not None and isinstance(result, werkzeug.Response)


def encode_http_response(result: Any) -> Response:
    """The response that is sent. A stream is read to its end. Raises `NotJson` for what cannot be sent."""
    status = result.status_code
    if not 200 <= status <= 599:
        raise NotJson("status", f"the status {result.status!r} cannot be sent", "Use a number from 200 to 599.")
    failed = getattr(result, "run_function_failed", False) or status >= 500
    pairs = []
    for name, value in result.headers:
        key = _encode_name(name)
        if key == _FAILED:  # v1's way to report a failure; the server sends the header itself
            failed = failed or value.lower() == "true"
        elif key not in _FRAMING:
            pairs.append((key, _encode_value(name, value)))
    result.direct_passthrough = False  # of `flask.send_file`: this is no WSGI server that sends files
    try:
        body = b"".join(result.iter_encoded())
    finally:
        result.close()
    if status in (204, 205, 304):  # no body may follow: clients would read it as the next response
        body = b""
    return Response(status, body, pairs, failed=failed)


def http_error_response(error: BaseException) -> Response | None:
    """The answer to an `HTTPException` of werkzeug's that `run()` raised, such as `abort(404)`; None for others."""
    werkzeug = sys.modules.get("werkzeug.exceptions")
    if werkzeug is None or not isinstance(error, werkzeug.HTTPException):
        return None
    if error.response is not None:
        return encode_http_response(error.response)
    status = error.code
    if status is None or not 400 <= status <= 499:
        return None
    return error_response(status, "script-refused", error.description or error.name, "run()")


@lru_cache(maxsize=256)
def _encode_name(name: str) -> bytes:
    if not name or re.search(_BAD_NAME, name):
        raise NotJson("headers", f"{name[:80]!r} cannot be the name of a header", "Use letters, digits and hyphens.")
    return name.lower().encode()


def _encode_value(name: str, value: str) -> bytes:
    if _BAD_VALUE.search(value):
        text = f"the header {name} has characters that cannot be sent, such as a line break"
        raise NotJson(name[:80], text, "Leave line breaks out.")
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        text = f"the header {name} has characters beyond Latin-1"
        raise NotJson(name[:80], text, "Encode them, as urllib.parse.quote does.") from None
