"""v1's names for entry scripts that handle HTTP themselves: `@rawhttp` and `AMLRequest`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, unquote_plus

if TYPE_CHECKING:
    from .multipart import Files

_RAW = "__mldeploy_rawhttp__"

F = TypeVar("F", bound=Callable[..., Any])


class Headers(dict[str, str]):
    """Request headers. Look-up ignores the case of names; iteration gives them as `Content-Type`."""

    def __init__(self, pairs: Any = ()) -> None:
        super().__init__()
        for name, value in pairs.items() if isinstance(pairs, dict) else pairs:
            key = name.title()
            if dict.__contains__(self, key):
                value = f"{dict.__getitem__(self, key)}, {value}"
            dict.__setitem__(self, key, value)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.title())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.title())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.title(), default)


class Args(dict[str, str]):
    """Query or form parameters: the first value of each; `getlist` gives all."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        super().__init__()
        for name, value in pairs:
            self.setdefault(name, value)

    def get(self, name: str, default: Any = None, type: Callable[[str], Any] | None = None) -> Any:
        """The first value, converted by `type` if given; `default` when there is none or it cannot be converted."""
        value = super().get(name)
        if value is None or type is None:
            return default if value is None else value
        try:
            return type(value)
        except (ValueError, TypeError):
            return default

    def getlist(self, name: str, type: Callable[[str], Any] | None = None) -> list[Any]:
        """All values, converted by `type` if given; those that cannot be converted are left out."""
        one = [Args([pair]).get(name, None, type) for pair in self.pairs if pair[0] == name]
        return [value for value in one if value is not None]

    def lists(self) -> list[tuple[str, list[str]]]:
        """Each name with all its values."""
        return [(name, self.getlist(name)) for name in self]

    def to_dict(self, flat: bool = True) -> dict[str, Any]:
        """The first value of each name; all of them unless `flat`."""
        return dict(self) if flat else dict(self.lists())


def _parse_query(text: str) -> Args:
    return Args(parse_qsl(text, keep_blank_values=True))


class AMLRequest:
    """An HTTP request with the attributes that v1 scripts use, which are those of a Flask request.

    `method`, `path`, `full_path`, `url`, `base_url`, `host`, `host_url`, `scheme`, `query_string` (bytes), `args`,
    `form`, `files`, `values`, `headers`, `cookies`, `data` (bytes), `stream`, `json`, `content_type`, `mimetype`,
    `content_length`, `is_json`, `user_agent`, `remote_addr`; `get_data(as_text=False)`, `get_json()`. Another attribute
    raises `AttributeError`, which lists them.
    """

    def __init__(
        self, method: str, path: str, query: str, headers: Headers, body: bytes, remote_addr: str | None = None
    ) -> None:
        self.method = method
        self.path = path
        self.query_string = query.encode("latin-1", "replace")
        self.full_path = f"{path}?{query}"
        self.args = _parse_query(query) if query else Args([])
        self.headers = headers
        self.data = body
        self.remote_addr = remote_addr
        self.content_type: str = headers.get("content-type", "")
        self.content_length = len(body)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        known = [item for item in dir(self) if not item.startswith("_")]
        raise AttributeError(f"AMLRequest has no {name!r} in this server; it has {', '.join(known)}")

    scheme = "http"

    @property
    def host(self) -> str:
        return str(self.headers.get("host", "localhost"))

    @property
    def host_url(self) -> str:
        return f"http://{self.host}/"

    root_url = host_url

    @property
    def base_url(self) -> str:
        return f"http://{self.host}{unquote_plus(self.path)}"

    url = base_url

    @property
    def user_agent(self) -> str:
        return str(self.headers.get("user-agent", ""))

    @property
    def mimetype(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()

    @property
    def is_json(self) -> bool:
        return is_json_type(self.content_type)

    @property
    def json(self) -> Any:
        return self.get_json()

    @property
    def stream(self) -> io.BytesIO:
        """The body as a file."""
        if "_stream" not in self.__dict__:
            self.__dict__["_stream"] = io.BytesIO(self.data)
        return self.__dict__["_stream"]  # type: ignore[no-any-return]

    @property
    def cookies(self) -> dict[str, str]:
        pairs = [part.partition("=") for part in str(self.headers.get("cookie", "")).split(";")]
        return {name.strip(): value.strip().strip('"') for name, equals, value in pairs if equals}

    @property
    def form(self) -> Args:
        """The fields of a form, urlencoded or multipart."""
        return self._read_form()[0]

    @property
    def files(self) -> Files:
        """The files of a multipart form, by the names of their fields."""
        return self._read_form()[1]

    @property
    def values(self) -> Args:
        """The parameters of the query and the fields of the form."""
        return Args([*self.args.pairs, *self.form.pairs])

    def _read_form(self) -> tuple[Args, Files]:
        if "_form" not in self.__dict__:
            from .multipart import Files, parse_multipart

            fields, files = Args([]), Files([])
            if self.mimetype == "application/x-www-form-urlencoded":
                fields = _parse_query(self.get_data(as_text=True))
            elif self.mimetype == "multipart/form-data":
                texts, uploads = parse_multipart(self.content_type, self.data)
                fields, files = Args(texts), Files(uploads)
            self.__dict__["_form"] = fields, files
        return self.__dict__["_form"]  # type: ignore[no-any-return]

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
