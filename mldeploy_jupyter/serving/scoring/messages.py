"""What goes in and out of the scoring core: requests, answers, and errors in the service's one form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

JSON: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),)


@dataclass
class Request:
    """A call. `headers`: (name, value) pairs or a dict; `query`: the text after `?`; `span`: the trace span, if any."""

    method: str = "POST"
    headers: Any = ()
    body: bytes = b""
    query: str = ""
    path: str = "/score"
    remote_addr: str | None = None
    id: str = ""
    span: Any = None


@dataclass
class Response:
    """An answer. `timings` are milliseconds of queue, parse, run and serialise, as far as they came to be.

    `failed`: the script is at fault. `error` is what `run()` raised, for whoever wants more than the answer says.
    """

    status: int
    body: bytes = b""
    headers: Sequence[tuple[bytes, bytes]] = JSON
    timings: dict[str, float] = field(default_factory=dict)
    failed: bool = False
    error: BaseException | None = None

    def add_header(self, name: bytes, value: bytes) -> Response:
        """One more header. Returns itself."""
        self.headers = (*self.headers, (name, value))
        return self


class DeadlineExceeded(BaseException):
    """Raised inside a `run()` that passed its deadline. No `Exception`: `except Exception` does not catch it."""


class Refused(Exception):
    """A request that `run()` never sees, or a result that no client can."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def error_response(status: int, code: str, message: str, where: str = "", hint: str = "", **more: Any) -> Response:
    """An error in the form that every error of the service has."""
    error = {"code": code, "where": where, "hint": hint, **more}
    return Response(status, orjson.dumps({"message": message, "error": error}))
