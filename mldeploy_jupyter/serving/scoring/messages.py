"""Requests and responses of the scoring core, and errors in the one form that the service has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

JSON: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),)


@dataclass(eq=False)
class Request:
    """A request to `run()`.

    `headers` are (name, value) pairs, or a dict with names in lower case, as the server passes. `query` is the text
    after `?`. `span` is the trace span of the request, if it has one.
    """

    method: str = "POST"
    headers: Any = ()
    body: bytes = b""
    query: str = ""
    path: str = "/score"
    remote_addr: str | None = None
    id: str = ""
    span: Any = None

    def with_body(self, body: bytes) -> Request:
        """A copy with another body."""
        return Request(self.method, self.headers, body, self.query, self.path, self.remote_addr, self.id, self.span)


@dataclass
class Response:
    """A response. `timings` are milliseconds of queue, parse, run and serialise, as far as the request got.

    `failed`: the script is at fault. `error` is the exception behind an error response, for traces.
    """

    status: int
    body: bytes = b""
    headers: Sequence[tuple[bytes, bytes]] = JSON
    timings: dict[str, float] = field(default_factory=dict)
    failed: bool = False
    error: BaseException | None = None

    def add_header(self, name: bytes, value: bytes) -> Response:
        """Appends a header. Returns the response itself."""
        self.headers = (*self.headers, (name, value))
        return self


class DeadlineExceeded(BaseException):
    """Raised inside a `run()` that passed its deadline. Not an `Exception`: `except Exception` does not catch it."""


class Refused(Exception):
    """The request is answered without `run()`. `response` is the answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def body_too_large(limit: int, when: str = "") -> Response:
    """The refusal of a body of more than `limit` bytes. `when` completes its sentence."""
    size = f"{limit / (1 << 20):.4g} MB" if limit >= 1 << 20 else f"{limit} bytes"
    hint = "Send fewer rows at a time. The service's owner can raise max_request_body_mb."
    return error_response(413, "too-large", f"the body is larger than {size}{when}", "body", hint)


def error_response(status: int, code: str, message: str, where: str = "", hint: str = "", **more: Any) -> Response:
    """An error as JSON: `{"message", "error": {"code", "where", "hint", ...}}`."""
    error = {"code": code, "where": where, "hint": hint, **more}
    return Response(status, orjson.dumps({"message": message, "error": error}))
