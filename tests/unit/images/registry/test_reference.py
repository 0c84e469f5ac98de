from __future__ import annotations

import pytest

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.images.registry.reference import is_loopback, parse_reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full", "version"),
    [
        ("python:3.11-slim", "docker.io/library/python:3.11-slim", "3.11-slim"),
        ("team/churn", "docker.io/team/churn", "latest"),
        ("index.docker.io/team/churn:1", "docker.io/team/churn:1", "1"),
        ("localhost/churn:1", "localhost/churn:1", "1"),
        ("127.0.0.1:5000/a/b/c:1", "127.0.0.1:5000/a/b/c:1", "1"),
        ("[::1]:5000/churn:1", "[::1]:5000/churn:1", "1"),
        (f"registry.example/churn:1@{DIGEST}", f"registry.example/churn:1@{DIGEST}", DIGEST),
        (f"churn@{DIGEST}", f"docker.io/library/churn@{DIGEST}", DIGEST),
    ],
)
def test_reference_is_read_as_docker_reads_it(text: str, full: str, version: str) -> None:
    found = parse_reference(text)
    assert (str(found), found.version) == (full, version)
    assert parse_reference(str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Churn:1",
        "registry.example/",
        "churn:",
        "churn:a b",
        "churn@sha256:12",
        "a//b",
        "-x/y",
        "reg.example:99x/a",
        "a/../b",
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ImageError) as refused:
        parse_reference(text)
    assert refused.value.code == "InvalidReference"


def test_registries_of_this_machine() -> None:
    assert all(map(is_loopback, ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"]))
    assert not any(map(is_loopback, ["registry.example:5000", "128.0.0.1", "localhost.example"]))
