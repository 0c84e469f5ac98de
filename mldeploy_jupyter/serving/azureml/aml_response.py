"""v1's `AMLResponse`, which is werkzeug's response: what a script sets is sent.

Imported only for a script that uses it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from werkzeug.utils import get_content_type
from werkzeug.wrappers import Response

from ..json_encoder import encode


class AMLResponse(Response):
    """A response with its own status and headers, and the interface of a Flask response. `json_str` sends JSON.

    `message` may be text, bytes, a file or a generator of either; anything else is sent as JSON, None as `{}`. As in
    v1, a value in `response_headers` is split at commas into repeated headers; those set in `headers` are not. A status
    of 500 or above, or `run_function_failed`, marks the call as failed.

    Raises `NotJson` for a message that JSON cannot represent, and `ValueError` for a header with a line break.
    """

    default_mimetype = "text/html"

    def __init__(
        self,
        message: Any,
        status_code: int | str | None = 200,
        response_headers: dict[str, str] | None = None,
        json_str: bool = False,
        run_function_failed: bool = False,
        *,
        mimetype: str | None = None,
        content_type: str | None = None,
    ) -> None:
        body, media = _body_of(message, json_str)
        media = mimetype or media or self.default_mimetype
        if content_type is None and media is not None:
            content_type = _content_type(media)
        super().__init__(body, status_code, content_type=content_type)
        self.run_function_failed = run_function_failed
        added: set[str] = set()
        for name, value in (response_headers or {}).items():
            for part in str(value).split(","):
                if name.lower() in added:
                    self.headers.add(name, part.strip())
                else:
                    self.headers[name] = part.strip()
                    added.add(name.lower())


@lru_cache(maxsize=64)
def _content_type(mimetype: str) -> str:
    return get_content_type(mimetype, "utf-8")


def _body_of(message: Any, json_str: bool) -> tuple[Any, str | None]:
    """The body, and the media type that it has unless the script says another; None for the default."""
    if message is None:
        return b"{}", "application/json"
    if json_str:
        return encode(message), "application/json"
    if isinstance(message, str):
        return message, None
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message), "application/octet-stream"
    if callable(getattr(message, "read", None)):
        content = message.read()
        return content, None if isinstance(content, str) else "application/octet-stream"
    if hasattr(message, "__next__"):
        return message, None
    return encode(message), "application/json"
