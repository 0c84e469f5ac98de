"""What a script sets on an `AMLResponse` is sent, or refused when it is set."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable
from typing import Any

import pytest

from mldeploy_jupyter.serving.azureml.aml_response import AMLResponse
from mldeploy_jupyter.serving.scoring.json_encoder import NotJson
from mldeploy_jupyter.serving.scoring.results import encode_result


def sent(response: AMLResponse) -> tuple[int, bytes, list[tuple[str, str]]]:
    found = encode_result(response)
    return found.status, found.body, [(name.decode(), value.decode("latin-1")) for name, value in found.headers]


JSON, HTML, BYTES = (
    ("content-type", value) for value in ("application/json", "text/html; charset=utf-8", "application/octet-stream")
)

CSV = ("content-type", "text/csv; charset=utf-8")


def setting(**attributes: Any) -> Callable[[AMLResponse], None]:
    def change(response: AMLResponse) -> None:
        for name, value in attributes.items():
            setattr(response, name, value)

    return change


def cookies(response: AMLResponse) -> None:
    response.set_cookie("a", "1")
    response.set_cookie("b", max_age=60, httponly=True, secure=True, samesite="Lax", path=None)


def two_headers(response: AMLResponse) -> None:
    response.headers.add("Vary", "Origin")
    response.headers.add("Vary", "Accept, Cookie")
    response.headers["X-A"] = 1
    response.headers["x-a"] = "2"


@pytest.mark.parametrize(
    ("change", "status", "body", "headers"),
    [
        (setting(data=b"later"), 200, b"later", [BYTES]),
        (setting(data="later"), 200, b"later", [HTML]),
        (setting(message={"a": 1}), 200, b'{"a":1}', [JSON]),
        (setting(mimetype="text/csv"), 200, b"x", [CSV]),
        (setting(content_type="image/png"), 200, b"x", [("content-type", "image/png")]),
        (setting(status="404 NOT FOUND"), 404, b"x", [HTML]),
        (setting(status=201), 201, b"x", [HTML]),
        (setting(status_code="418"), 418, b"x", [HTML]),
        (setting(headers={"X-A": "1, 2"}), 200, b"x", [("x-a", "1, 2"), HTML]),
        (setting(response_headers={"X-A": "1, 2"}), 200, b"x", [("x-a", "1"), ("x-a", "2"), HTML]),
        (setting(json_str=True), 200, b'"x"', [JSON]),
        (two_headers, 200, b"x", [("vary", "Origin"), ("vary", "Accept, Cookie"), ("x-a", "2"), HTML]),
        (cookies, 200, b"x", [
            ("set-cookie", "a=1; Path=/"),
            ("set-cookie", "b=; Max-Age=60; SameSite=Lax; Secure; HttpOnly"),
            HTML,
        ]),
        (lambda r: r.headers.add("Content-Disposition", "attachment", filename="a b.csv"), 200, b"x",
            [("content-disposition", 'attachment; filename="a b.csv"'), HTML]),
        (lambda r: r.headers.update({"A": "1"}), 200, b"x", [("a", "1"), HTML]),
        (lambda r: r.headers.set("X", "caf\u00e9"), 200, b"x", [("x", "caf\u00e9"), HTML]),
        (lambda r: r.set_data(b"d"), 200, b"d", [BYTES]),
    ],
    ids=range(17),
)  # fmt: skip
def test_what_is_set_is_sent(
    change: Callable[[AMLResponse], None], status: int, body: bytes, headers: list[tuple[str, str]]
) -> None:
    response = AMLResponse("x", 200)
    change(response)
    assert sent(response) == (status, body, headers)


@pytest.mark.parametrize(
    ("message", "body", "header"),
    [
        (None, b"{}", JSON),
        ("x", b"x", HTML),
        (b"x", b"x", BYTES),
        (bytearray(b"x"), b"x", BYTES),
        (io.BytesIO(b"x"), b"x", BYTES),
        (io.StringIO("x"), b"x", HTML),
        ((part for part in (b"a", "b")), b"ab", BYTES),
        ([1], b"[1]", JSON),
    ],
    ids=range(8),
)
def test_the_kinds_of_messages(message: Any, body: bytes, header: tuple[str, str]) -> None:
    assert sent(AMLResponse(message, 200)) == (200, body, [header])


def test_what_is_read_is_what_was_set() -> None:
    response = AMLResponse("x", "404 NOT FOUND", {"a": "1"}, mimetype="text/csv")
    assert (response.status, response.status_code, response.mimetype) == ("404 NOT FOUND", 404, "text/csv")
    assert (response.data, response.get_data(), response.get_data(as_text=True)) == ("x", b"x", "x")
    assert response.content_type == "text/csv; charset=utf-8"
    assert response.headers.get("CONTENT-TYPE") == response.headers["content-type"]
    response.headers.pop("content-type")
    assert "content-type" not in response.headers and len(response.headers) == 0
    response.delete_cookie("a")
    assert response.headers["set-cookie"] == "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/"
    response.set_cookie("b", expires=datetime.datetime(2030, 1, 1), max_age=datetime.timedelta(days=1))
    assert "Expires=Tue, 01 Jan 2030 00:00:00 GMT; Max-Age=86400" in response.headers.getlist("set-cookie")[1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (setting(cache_control="no-store"), "does not send 'cache_control'; it has content_type, data, headers"),
        (setting(direct_passthrough=True), "does not send 'direct_passthrough'"),
        (setting(status="gone"), "must be a number, or text such as"),
        (setting(status_code=99), "the status 99 cannot be sent"),
        (setting(data={"a": 1}), "data must be text or bytes, not dict"),
        (lambda r: r.headers.add("X", "a\r\nb"), "a line break"),
        (lambda r: r.headers.add("X Y", "a"), "'X Y' cannot be the name"),
        (lambda r: r.headers.set("X", "\u2603"), "characters beyond Latin-1"),
        (lambda r: r.set_cookie("a b", "1"), "cannot be the name of a cookie"),
        (lambda r: r.set_cookie("a", "1;2"), "the cookie a has characters"),
        (lambda r: r.iter_encoded(), "has no 'iter_encoded'; it has content_type"),
        (lambda r: AMLResponse("x", 600), "the status 600 cannot be sent"),
    ],
    ids=range(12),
)
def test_what_cannot_be_sent_is_refused_at_once(change: Callable[[AMLResponse], None], words: str) -> None:
    response = AMLResponse("x", 200)
    with pytest.raises((AttributeError, ValueError, TypeError)) as caught:
        change(response)
    assert words in str(caught.value)
    assert sent(response) == (200, b"x", [HTML])


def test_a_header_of_the_constructor_is_refused_when_it_is_sent() -> None:
    for value in ("a\nb", "\u2603"):
        with pytest.raises(NotJson, match="the header x"):
            encode_result(AMLResponse("x", 200, {"x": value}))
