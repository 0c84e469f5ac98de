"""What a script sets on an `AMLResponse` is sent."""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.wrappers import Response

from mldeploy_jupyter.serving.azureml.aml_response import AMLResponse
from mldeploy_jupyter.serving.json_encoder import NotJson
from mldeploy_jupyter.serving.scoring.results import encode_result


def sent(response: Response) -> tuple[int, bytes, list[tuple[str, str]]]:
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
    response.set_cookie("b", httponly=True, secure=True, samesite="Lax", path=None)


def two_headers(response: AMLResponse) -> None:
    response.headers.add("Vary", "Origin")
    response.headers.add("Vary", "Accept, Cookie")
    response.headers["X-A"] = "1"
    response.headers["x-a"] = "2"


def conditions(response: AMLResponse) -> None:
    response.set_etag("e")
    response.cache_control.no_store = True
    response.last_modified = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    response.access_control_allow_origin = "*"


@pytest.mark.parametrize(
    ("change", "status", "body", "headers"),
    [
        (setting(data=b"later"), 200, b"later", [HTML]),
        (setting(data="later"), 200, b"later", [HTML]),
        (setting(mimetype="text/csv"), 200, b"x", [CSV]),
        (setting(content_type="image/png"), 200, b"x", [("content-type", "image/png")]),
        (setting(status="404 NOT FOUND", data=b"y", mimetype="text/csv"), 404, b"y", [CSV]),
        (setting(status=201), 201, b"x", [HTML]),
        (setting(status_code=418), 418, b"x", [HTML]),
        (setting(status_code=204), 204, b"", [HTML]),
        (setting(response=(part for part in ("a", b"b"))), 200, b"ab", [HTML]),
        (two_headers, 200, b"x", [HTML, ("vary", "Origin"), ("vary", "Accept, Cookie"), ("x-a", "2")]),
        (cookies, 200, b"x", [
            HTML,
            ("set-cookie", "a=1; Path=/"),
            ("set-cookie", "b=; Secure; HttpOnly; SameSite=Lax"),
        ]),
        (conditions, 200, b"x", [
            HTML, ("etag", '"e"'), ("cache-control", "no-store"),
            ("last-modified", "Tue, 01 Jan 2030 00:00:00 GMT"), ("access-control-allow-origin", "*"),
        ]),
        (lambda r: r.headers.add("Content-Disposition", "attachment", filename="a b.csv"), 200, b"x",
            [HTML, ("content-disposition", 'attachment; filename="a b.csv"')]),
        (lambda r: r.headers.update({"A": "1"}), 200, b"x", [HTML, ("a", "1")]),
        (lambda r: r.headers.set("X", "caf\u00e9"), 200, b"x", [HTML, ("x", "caf\u00e9")]),
        (lambda r: r.headers.set("Content-Length", "99"), 200, b"x", [HTML]),
        (lambda r: r.set_data(b"d"), 200, b"d", [HTML]),
        (lambda r: r.stream.write(b"d"), 200, b"xd", [HTML]),
    ],
    ids=range(18),
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
        ((part for part in (b"a", "b")), b"ab", HTML),
        ([1], b"[1]", JSON),
    ],
    ids=range(8),
)
def test_the_kinds_of_messages(message: Any, body: bytes, header: tuple[str, str]) -> None:
    assert sent(AMLResponse(message, 200)) == (200, body, [header])


def test_the_arguments_of_v1() -> None:
    response = AMLResponse({"a": 1}, 201, {"A": "1, 2", "content-type": "text/x"}, json_str=True)
    assert sent(response) == (201, b'{"a":1}', [("content-type", "text/x"), ("a", "1"), ("a", "2")])
    assert encode_result(AMLResponse("x", 200, run_function_failed=True)).failed
    assert encode_result(AMLResponse("x", 503)).failed and not encode_result(AMLResponse("x", 404)).failed
    response = AMLResponse("x", "404 NOT FOUND", mimetype="text/csv")
    assert (response.status, response.status_code, response.mimetype) == ("404 NOT FOUND", 404, "text/csv")
    assert (response.data, response.get_data(as_text=True)) == (b"x", "x")
    with pytest.raises(NotJson):
        AMLResponse([float("nan")], 200)


@pytest.mark.parametrize(("value", "failed"), [("True", True), ("true", True), ("False", False), ("Z", False)])
def test_a_header_of_the_script_marks_a_failure_and_is_not_sent_twice(value: str, failed: bool) -> None:
    response = encode_result(AMLResponse("x", 200, {"x-ms-run-function-failed": value}))
    assert (response.failed, [name for name, _ in response.headers]) == (failed, [b"content-type"])


def test_a_response_of_werkzeug_is_sent_too() -> None:
    closed: list[int] = []
    response = Response(iter([b"a", b"b"]), 207)
    response.call_on_close(lambda: closed.append(1))
    assert sent(response) == (207, b"ab", [("content-type", "text/plain; charset=utf-8")])
    assert closed == [1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (setting(status="gone"), "the status '0 gone' cannot be sent"),
        (setting(status_code=99), "cannot be sent"),
        (setting(status_code=600), "cannot be sent"),
        (lambda r: r.headers.add("X", "a\r\nb"), "newline"),
        (lambda r: r.headers.add("X", "a\x00b"), "characters that cannot be sent"),
        (lambda r: r.headers.add("X Y", "a"), "'X Y' cannot be the name"),
        (lambda r: r.headers.add("X\r\nSet-Cookie: a", "a"), "cannot be the name"),
        (lambda r: r.headers.set("X", "\u2603"), "characters beyond Latin-1"),
    ],
    ids=range(8),
)
def test_what_cannot_be_sent_is_refused(change: Callable[[AMLResponse], None], words: str) -> None:
    response = AMLResponse("x", 200)
    with pytest.raises((ValueError, NotJson)) as caught:
        change(response)
        encode_result(response)
    assert words in str(caught.value)


def test_header_values_of_the_constructor_are_checked() -> None:
    with pytest.raises(ValueError, match="newline"):
        AMLResponse("x", 200, {"x": "a\nb"})
