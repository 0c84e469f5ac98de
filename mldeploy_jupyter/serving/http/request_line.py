"""The first line of a request, which the parser reads too kindly: it lets spaces, RTSP and HTTP/2.0 through."""

from __future__ import annotations

import re

from ..scoring.messages import Response, error_response

# RFC 9112, 3: a token, one space, a target of visible ASCII, one space, the version.
_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\.[01]\r\n")

_VERSION = re.compile(rb"[!-~]+ [!-~]+ (HTTP/\d\.\d)\r\n")


def is_request_line(data: bytes, start: int) -> bool:
    """Whether a whole request line begins at `start`."""
    return _REQUEST_LINE.match(data, start) is not None


def check_request_line(line: bytes) -> Response | None:
    """The refusal of a request line (with its end), or None."""
    if _REQUEST_LINE.fullmatch(line):
        return None
    other = _VERSION.fullmatch(line)
    text = f"{other[1].decode()} is not spoken here" if other else "this is not HTTP/1.1, or not whole"
    return error_response(400, "bad-request", text)
