"""`AMLRequest`: a werkzeug request made of what the server received."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from mldeploy_jupyter.serving.azureml.aml_request import AMLRequest, wsgi_environ

FORM = (
    b"preamble\r\n--B\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhel\r\n--lo\r\n"
    b"--B\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a \xc3\xa4.png\"\r\n"
    b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x00\xff\r\n"
    b"--B\r\ncontent-disposition: form-data; name=image; filename=b.txt\r\n\r\n\r\n--B--\r\n"
)  # fmt: skip


def request(body: bytes = b"", query: str = "", method: str = "POST", **headers: str) -> AMLRequest:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return AMLRequest(wsgi_environ(method, "/score", query, names, body, "10.0.0.9"))


def test_the_parts_of_a_multipart_form(tmp_path: Path) -> None:
    got = request(FORM, "note=q&n=7", content_type='multipart/form-data; boundary="B"')
    assert got.form.to_dict() == {"note": "hel\r\n--lo"}
    assert got.data == b""  # as in v1: it is the form that was read
    image = got.files["image"]
    assert (image.filename, image.mimetype, image.name) == ("a ä.png", "image/png", "image")
    image.save(tmp_path / "saved.png")
    assert (tmp_path / "saved.png").read_bytes() == b"\x89PNG\r\n\x00\xff"
    assert [file.filename for file in got.files.getlist("image")] == ["a ä.png", "b.txt"]
    assert got.values.getlist("note") == ["q", "hel\r\n--lo"] and got.values["n"] == "7"
    assert got.files.get("other") is None


def test_what_is_in_the_request_line_and_the_headers() -> None:
    got = request(
        b"a=1&b=x", "n=7&n=x&m=z%20z", content_type="application/x-www-form-urlencoded; charset=utf-8",
        host="h:81", cookie='id=5; theme="dark"', user_agent="curl/8", authorization="Bearer k",
        accept="text/csv;q=0.5, application/json", if_match='"e"', range="bytes=0-3", cache_control="no-cache",
        origin="http://o", referer="http://r", x_a="1",
    )  # fmt: skip
    found: dict[str, Any] = {
        "line": (got.method, got.path, got.full_path, got.query_string, got.scheme, got.is_secure),
        "urls": (got.url, got.base_url, got.host_url, got.root_url, got.host, got.root_path, got.script_root),
        "types": (got.mimetype, got.mimetype_params, got.content_length, got.content_encoding),
        "client": (got.remote_addr, list(got.access_route), got.remote_user, got.user_agent.string),
        "headers": (got.headers["x-a"], got.headers.get("n", 3, type=int), got.headers.getlist("X-A")),
        "parsed": (got.accept_mimetypes.best, "e" in got.if_match, got.range.to_header() if got.range else None),
        "more": (got.cache_control.no_cache, got.origin, got.referrer, got.date),
        "authorization": got.authorization.token if got.authorization else None,
        "route": (got.endpoint, got.view_args, got.url_rule, got.blueprint, got.blueprints),
        "cookies": got.cookies.to_dict(),
        "form": got.form.to_dict(),
    }
    line = "/score?n=7&n=x&m=z%20z"
    assert found == {
        "line": ("POST", "/score", line, b"n=7&n=x&m=z%20z", "http", False),
        "urls": (f"http://h:81{line}", "http://h:81/score", "http://h:81/", "http://h:81/", "h:81", "", ""),
        "types": ("application/x-www-form-urlencoded", {"charset": "utf-8"}, 7, None),
        "client": ("10.0.0.9", ["10.0.0.9"], None, "curl/8"),
        "headers": ("1", 3, ["1"]),
        "parsed": ("application/json", True, "bytes=0-3"),
        "more": (True, "http://o", "http://r", None),
        "authorization": "k",
        "route": (None, None, None, None, ()),
        "cookies": {"id": "5", "theme": "dark"},
        "form": {"a": "1", "b": "x"},
    }
    assert got.args.get("n", type=int) == 7 and got.args.get("m", 3, type=int) == 3
    assert got.args.getlist("n") == ["7", "x"] and got.args.to_dict(flat=False) == {"n": ["7", "x"], "m": ["z z"]}
    assert list(got.args.items(multi=True)) == [("n", "7"), ("n", "x"), ("m", "z z")]
    assert ("X-A", "1") in list(got.headers) and dict(got.headers)["X-A"] == "1"  # pairs, as in v1
    assert "X-A: 1" in str(got.headers) and ("X-A", "1") in got.headers.to_wsgi_list()


def test_the_body_as_bytes_text_stream_and_json() -> None:
    assert request(b"ab").get_data() == b"ab" and request("ä".encode()).get_data(as_text=True) == "ä"
    assert request(b"ab").stream.read(1) == b"a"
    assert request(b"a=1", content_type="application/x-www-form-urlencoded").get_data(parse_form_data=True) == b""
    got = request(b'{"a": 1}', content_type="application/json")
    assert got.is_json and got.json == got.get_json() == {"a": 1}
    with pytest.raises(UnsupportedMediaType):
        request(b"1").get_json()
    with pytest.raises(BadRequest):
        request(b"x").get_json(force=True)
    assert request(b"x").get_json(force=True, silent=True) is None


def test_a_long_text_field_is_limited_by_the_service_alone() -> None:
    form = b"--B\r\nContent-Disposition: form-data; name=t\r\n\r\n" + b"x" * 600_000 + b"\r\n--B--\r\n"
    assert len(request(form, content_type="multipart/form-data; boundary=B").form["t"]) == 600_000


def test_a_header_with_an_underscore_cannot_pose_as_another() -> None:
    environ = wsgi_environ("GET", "/score", "", {"x_user": "a", "x-user": "b", "transfer-encoding": "chunked"}, b"")
    assert environ["HTTP_X_USER"] == "b" and "HTTP_TRANSFER_ENCODING" not in environ
    assert "HTTP_X_USER" not in wsgi_environ("GET", "/score", "", {"x_user": "a"}, b"")
    without_port = wsgi_environ("GET", "/score", "", {"host": "[::1]"}, b"")
    assert (without_port["SERVER_NAME"], without_port["SERVER_PORT"]) == ("[::1]", "80")


def test_a_limit_of_the_script_guards_the_stream() -> None:
    limited = type("Limited", (AMLRequest,), {"max_content_length": 4})
    with pytest.raises(RequestEntityTooLarge):
        limited(wsgi_environ("POST", "/score", "", {}, b"12345")).get_data()
    with pytest.raises(RuntimeError, match="shallow"):
        AMLRequest(wsgi_environ("POST", "/score", "", {}, b"1"), shallow=True).get_data()
