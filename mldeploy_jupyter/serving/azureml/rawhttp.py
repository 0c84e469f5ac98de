"""v1's names for entry scripts that handle HTTP themselves: `@rawhttp`, `AMLRequest`, `AMLResponse`."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote_plus

_RAW = "__mldeploy_rawhttp__"

F = TypeVar("F", bound=Callable[..., Any])


class Headers(dict[str, str]):
    """Request headers. Look-up ignores the case of names; iteration gives them as `Content-Type`."""

    def __init__(self, pairs: Any = ()) -> None:
        super().__init__()
        for name, value in pairs.items() if isinstance(pairs, dict) else pairs:
            key = name.title()
            super().__setitem__(key, f"{super().__getitem__(key)}, {value}" if key in self.keys() else value)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.title())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.title())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.title(), default)


class Args(dict[str, str]):
    """Query or form parameters: the first value of each; `getlist` gives all."""

    def __init__(self, text: str) -> None:
        self.pairs = parse_qsl(text, keep_blank_values=True)
        super().__init__()
        for name, value in self.pairs:
            self.setdefault(name, value)

    def getlist(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]


class AMLRequest:
    """An HTTP request with the attributes that v1 scripts use, which are those of a Flask request.

    `method`, `path`, `full_path`, `query_string` (bytes), `args`, `headers`, `data` (bytes), `json`, `form`,
    `content_type`, `content_length`, `is_json`, `remote_addr`; `get_data(as_text=False)`, `get_json()`.
    """

    def __init__(
        self, method: str, path: str, query: str, headers: Headers, body: bytes, remote_addr: str | None = None
    ) -> None:
        self.method = method
        self.path = path
        self.query_string = query.encode("latin-1", "replace")
        self.full_path = f"{path}?{query}"
        self.args = Args(query)
        self.headers = headers
        self.data = body
        self.remote_addr = remote_addr
        self.content_type: str = headers.get("content-type", "")
        self.content_length = len(body)

    @property
    def url(self) -> str:
        return f"http://{self.headers.get('host', 'localhost')}{unquote_plus(self.path)}"

    @property
    def is_json(self) -> bool:
        return is_json_type(self.content_type)

    @property
    def json(self) -> Any:
        return self.get_json()

    @property
    def form(self) -> Args:
        is_form = self.content_type.startswith("application/x-www-form-urlencoded")
        return Args(self.get_data(as_text=True) if is_form else "")

    def get_data(self, cache: bool = True, as_text: bool = False) -> Any:
        return self.data.decode("utf-8", "replace") if as_text else self.data

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
        """The body as JSON. Raises `ValueError` when it is not, unless `silent`."""
        try:
            if not force and not self.is_json:
                raise ValueError("the request's content type is not application/json")
            return json.loads(self.data)
        except ValueError:
            if silent:
                return None
            raise


class AMLResponse:
    """A response with its own status and headers. `json_str` encodes `message` as JSON.

    As in v1, a header's value is split at commas into repeated headers. A status of 500 or above, or
    `run_function_failed`, marks the call as failed. A status outside 200 to 599, or a header with a line break, is
    refused when the response is sent.
    """

    def __init__(
        self,
        message: Any,
        status_code: int,
        response_headers: dict[str, str] | None = None,
        json_str: bool = False,
        run_function_failed: bool = False,
    ) -> None:
        self.message = message
        self.status_code = int(status_code)
        self.response_headers = dict(response_headers or {})
        self.json_str = json_str
        self.run_function_failed = run_function_failed


def rawhttp(function: F) -> F:
    """Marks `run()`: it gets each request as an `AMLRequest`, for GET, POST and OPTIONS."""
    setattr(function, _RAW, True)
    return function


def is_raw(function: Any) -> bool:
    """Whether `@rawhttp` marks the function."""
    return bool(getattr(function, _RAW, False))


@lru_cache(maxsize=64)
def is_json_type(content_type: str) -> bool:
    """Whether a content type, whatever its parameters, is `application/json` or `application/...+json`."""
    media = content_type.partition(";")[0].strip().lower()
    return media == "application/json" or (media.startswith("application/") and media.endswith("+json"))
