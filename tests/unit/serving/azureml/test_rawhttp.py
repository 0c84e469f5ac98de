"""`AMLRequest`: a Flask request's attributes, or an error that names those there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.serving.azureml.rawhttp import AMLRequest, Headers

FORM = (
    b"preamble\r\n--B\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhel\r\n--lo\r\n"
    b"--B\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a \xc3\xa4.png\"\r\n"
    b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x00\xff\r\n"
    b"--B\r\ncontent-disposition: form-data; name=image; filename=b.txt\r\n\r\n\r\n--B--\r\n"
)  # fmt: skip


def request(body: bytes = b"", query: str = "", **headers: str) -> AMLRequest:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return AMLRequest("POST", "/score", query, Headers(names), body)


def test_the_parts_of_a_multipart_form(tmp_path: Path) -> None:
    got = request(FORM, "note=q&n=7", content_type='multipart/form-data; boundary="B"')
    assert dict(got.form) == {"note": "hel\r\n--lo"}
    image = got.files["image"]
    assert (image.filename, image.mimetype, image.name) == ("a ä.png", "image/png", "image")
    image.save(tmp_path / "saved.png")
    assert (tmp_path / "saved.png").read_bytes() == b"\x89PNG\r\n\x00\xff" == image.stream.getvalue()
    assert [file.filename for file in got.files.getlist("image")] == ["a ä.png", "b.txt"]
    assert got.files.getlist("image")[1].read() == b""
    assert got.values.getlist("note") == ["q", "hel\r\n--lo"] and got.values["n"] == "7"
    assert got.files is got.files and got.files.get("other") is None


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("multipart/form-data", FORM, "has no boundary"),
        ("multipart/form-data; boundary=B", FORM[:-10], "does not end with its boundary"),
        ("multipart/form-data; boundary=B", b"--B\r\n\r\nx\r\n--B--", "a part of the form has no name"),
    ],
)
def test_a_broken_form_is_refused(content_type: str, body: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        request(body, content_type=content_type).files  # noqa: B018


def test_what_a_flask_request_has() -> None:
    got = request(
        b"a=1&b=x", "n=7&n=x&m=z", content_type="application/x-www-form-urlencoded; charset=utf-8",
        host="h:1", cookie='id=5; theme="dark"', user_agent="curl/8",
    )  # fmt: skip
    found: dict[str, Any] = {
        "mimetype": got.mimetype,
        "host": got.host,
        "urls": (got.url, got.base_url, got.host_url, got.root_url),
        "cookies": got.cookies,
        "user_agent": got.user_agent,
        "stream": (got.stream.read(1), got.stream.read()),
        "form": dict(got.form),
        "files": dict(got.files),
    }
    assert found == {
        "mimetype": "application/x-www-form-urlencoded",
        "host": "h:1",
        "urls": ("http://h:1/score", "http://h:1/score", "http://h:1/", "http://h:1/"),
        "cookies": {"id": "5", "theme": "dark"},
        "user_agent": "curl/8",
        "stream": (b"a", b"=1&b=x"),
        "form": {"a": "1", "b": "x"},
        "files": {},
    }
    assert got.args.get("n", type=int) == 7 and got.args.get("m", 3, type=int) == 3
    assert got.args.getlist("n") == ["7", "x"] and got.args.getlist("n", type=int) == [7]
    assert got.args.to_dict(flat=False) == {"n": ["7", "x"], "m": ["z"]} and got.args.to_dict() == {"n": "7", "m": "z"}


def test_what_is_not_there_names_what_is() -> None:
    with pytest.raises(AttributeError, match=r"has no 'environ' in this server; it has args, .*values") as caught:
        request().environ  # noqa: B018
    assert "_read_form" not in str(caught.value)
    assert getattr(request(), "blueprint", None) is None
