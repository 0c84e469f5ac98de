"""v1's `AMLResponse`, with the attributes of a Flask response: what a script sets is sent, or refused at once."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

# Characters that would end a header early, and so let a script's data inject another (RFC 9110, section 5).
_BAD_NAME = re.compile(r'[\x00-\x20\x7f-\U0010ffff()<>@,;:\\"/\[\]?={}]')

_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_BAD_COOKIE = re.compile(r'[\x00-\x20\x7f-\U0010ffff,;"\\]')


def header_problem(name: str, value: str) -> str:
    """Why a header cannot be sent; "" when it can."""
    if not name or _BAD_NAME.search(name):
        return f"{name[:80]!r} cannot be the name of a header"
    if _BAD_VALUE.search(value):
        return f"the header {name} has characters that cannot be sent, such as a line break"
    if any(ord(character) > 255 for character in value):
        return f"the header {name} has characters beyond Latin-1; encode them, as urllib.parse.quote does"
    return ""


def parse_status(status: Any) -> int:
    """The number of a status such as 404 or "404 NOT FOUND". Raises `ValueError` for anything outside 200 to 599."""
    try:
        number = int(status.split(None, 1)[0]) if isinstance(status, str) else int(status)
    except (ValueError, IndexError):
        raise ValueError(f"the status must be a number, or text such as '404 NOT FOUND', not {status!r}") from None
    if not 200 <= number <= 599:
        raise ValueError(f"the status {number} cannot be sent: use one from 200 to 599")
    return number


class ResponseHeaders:
    """Headers of a response, in order; a name may be there several times. Look-up ignores the case of names.

    Raises `ValueError` when a header is set that cannot be sent.
    """

    def __init__(self) -> None:
        self._pairs: list[tuple[str, str]] = []

    def add(self, name: str, value: Any, **parameters: Any) -> None:
        """Appends a header. `parameters` follow its value: `add("Content-Disposition", "inline", filename="a.csv")`."""
        parts = [str(value), *(f"{key.replace('_', '-')}={_quote(str(item))}" for key, item in parameters.items())]
        text = "; ".join(parts)
        problem = header_problem(name, text)
        if problem:
            raise ValueError(problem)
        self._pairs.append((name, text))

    def set(self, name: str, value: Any, **parameters: Any) -> None:
        """Replaces all headers of this name."""
        others = [pair for pair in self._pairs if pair[0].lower() != name.lower()]
        self.add(name, value, **parameters)
        self._pairs = [*others, self._pairs[-1]]

    __setitem__ = set

    def __getitem__(self, name: str) -> str:
        for value in self.getlist(name):
            return value
        raise KeyError(name)

    def __delitem__(self, name: str) -> None:
        self._pairs = [pair for pair in self._pairs if pair[0].lower() != name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.getlist(name))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(list(self._pairs))

    def __len__(self) -> int:
        return len(self._pairs)

    def get(self, name: str, default: Any = None) -> Any:
        """The first value, or `default`."""
        return next(iter(self.getlist(name)), default)

    def getlist(self, name: str) -> list[str]:
        """All values."""
        return [value for key, value in self._pairs if key.lower() == name.lower()]

    get_all = getlist

    def items(self) -> list[tuple[str, str]]:
        """The pairs of names and values."""
        return list(self._pairs)

    def keys(self) -> list[str]:
        """The names."""
        return [name for name, _ in self._pairs]

    def setdefault(self, name: str, value: Any) -> str:
        """The value; sets it when there is none."""
        if name not in self:
            self.set(name, value)
        return self[name]

    def pop(self, name: str, default: Any = None) -> Any:
        """The value, which is removed; `default` when there is none."""
        found = self.get(name, default)
        del self[name]
        return found

    remove = __delitem__

    def extend(self, headers: Any = (), **more: Any) -> None:
        """Appends all of a dict or of pairs."""
        for name, value in [*_pairs_of(headers), *more.items()]:
            self.add(name, value)

    def update(self, headers: Any = (), **more: Any) -> None:
        """Sets all of a dict or of pairs."""
        for name, value in [*_pairs_of(headers), *more.items()]:
            self.set(name, value)


class AMLResponse:
    """A response with its own status and headers. `json_str` encodes `message` as JSON.

    `message` may be text, bytes, a file or a generator of either; anything else is sent as JSON, None as `{}`. `data`
    sets it as it is. As in v1, a value in `response_headers` is split at commas into repeated headers; those set in
    `headers` are not. A status of 500 or above, or `run_function_failed`, marks the call as failed.

    Raises `ValueError` for a status or a header that cannot be sent, and `AttributeError` when an attribute is set that
    would not be sent.
    """

    def __init__(
        self,
        message: Any,
        status_code: int | str = 200,
        response_headers: dict[str, str] | None = None,
        json_str: bool = False,
        run_function_failed: bool = False,
        *,
        mimetype: str | None = None,
        content_type: str | None = None,
    ) -> None:
        vars(self).update(  # without `__setattr__`, which checks the names that scripts set
            message=message,
            _status_code=parse_status(status_code),
            response_headers=dict(response_headers or {}),
            _headers=ResponseHeaders(),
            json_str=json_str,
            run_function_failed=run_function_failed,
        )
        if mimetype is not None:
            self.mimetype = mimetype
        if content_type is not None:
            self.content_type = content_type

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _SETTABLE and not name.startswith("_"):
            raise AttributeError(f"AMLResponse does not send {name!r}; {_what_there_is()}")
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"AMLResponse has no {name!r}; {_what_there_is()}")

    @property
    def status_code(self) -> int:
        """The number of the status. May be set to text such as "404 NOT FOUND", too."""
        return self._status_code

    @status_code.setter
    def status_code(self, status: Any) -> None:
        self._status_code = parse_status(status)

    @property
    def status(self) -> str:
        """The status as text, such as "404 NOT FOUND". May be set to a number, too."""
        words = {status.value: status.phrase for status in HTTPStatus}
        return f"{self.status_code} {words.get(self.status_code, 'UNKNOWN')}".upper()

    @status.setter
    def status(self, status: Any) -> None:
        self.status_code = status

    @property
    def headers(self) -> ResponseHeaders:
        """The headers that were set. May be replaced by a dict or pairs."""
        return self._headers

    @headers.setter
    def headers(self, headers: Any) -> None:
        self._headers = ResponseHeaders()
        self._headers.extend(headers)

    @property
    def data(self) -> Any:
        """The message. Setting it sends text or bytes as they are."""
        return self.message

    @data.setter
    def data(self, data: Any) -> None:
        if not isinstance(data, (str, bytes, bytearray, memoryview)):
            raise TypeError(f"data must be text or bytes, not {type(data).__name__}; set message to send JSON")
        self.message, self.json_str = data, False

    def set_data(self, data: Any) -> None:
        """Sends text or bytes as they are."""
        self.data = data

    def get_data(self, as_text: bool = False) -> Any:
        """The message as bytes, or as text."""
        data = self.message.encode() if isinstance(self.message, str) else self.message
        return data.decode() if as_text and isinstance(data, bytes) else data

    @property
    def content_type(self) -> str | None:
        """The header Content-Type; None when the message decides."""
        found: str | None = self.headers.get("content-type")
        return found

    @content_type.setter
    def content_type(self, content_type: Any) -> None:
        self.headers.set("Content-Type", content_type)

    @property
    def mimetype(self) -> str | None:
        """The content type without its parameters. Setting a text type adds the charset, as Flask does."""
        return self.content_type.partition(";")[0].strip() if self.content_type else None

    @mimetype.setter
    def mimetype(self, mimetype: Any) -> None:
        is_text = str(mimetype).startswith("text/") and "charset" not in str(mimetype)
        self.headers.set("Content-Type", f"{mimetype}; charset=utf-8" if is_text else mimetype)

    def set_cookie(
        self,
        key: str,
        value: str = "",
        max_age: Any = None,
        expires: Any = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: str | None = None,
    ) -> None:
        """Adds a Set-Cookie header, with Flask's parameters. Raises `ValueError` for characters no cookie can have."""
        if not key or "=" in key or _BAD_COOKIE.search(key):
            raise ValueError(f"{key!r} cannot be the name of a cookie")
        if _BAD_COOKIE.search(value):
            text = f"the cookie {key} has characters that cannot be sent"
            raise ValueError(f"{text}; encode it, as urllib.parse.quote does")
        from email.utils import format_datetime, formatdate

        seconds = max_age.total_seconds() if isinstance(max_age, datetime.timedelta) else max_age
        if isinstance(expires, datetime.datetime):
            utc = expires.replace(tzinfo=datetime.UTC) if expires.tzinfo is None else expires.astimezone(datetime.UTC)
            expires = format_datetime(utc, usegmt=True)
        elif isinstance(expires, (int, float)):
            expires = formatdate(expires, usegmt=True)
        options = {
            "Expires": expires,
            "Max-Age": None if seconds is None else int(seconds),
            "Domain": domain,
            "Path": path,
            "SameSite": samesite,
        }
        parts = [f"{key}={value}", *(f"{name}={item}" for name, item in options.items() if item is not None)]
        parts += [name for name, is_set in (("Secure", secure), ("HttpOnly", httponly)) if is_set]
        self.headers.add("Set-Cookie", "; ".join(parts))

    def delete_cookie(self, key: str, path: str | None = "/", domain: str | None = None) -> None:
        """Makes the client forget a cookie."""
        self.set_cookie(key, max_age=0, expires=0, path=path, domain=domain)


_SETTABLE = {
    *("message", "data", "status_code", "status", "headers", "content_type", "mimetype", "json_str"),
    *("run_function_failed", "response_headers"),
}


def _what_there_is() -> str:
    return f"it has {', '.join(sorted(_SETTABLE))}, set_cookie() and delete_cookie()"


def _pairs_of(headers: Any) -> list[tuple[str, Any]]:
    return list(headers.items() if hasattr(headers, "items") else headers)


def _quote(text: str) -> str:
    if re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", text, re.ASCII):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
