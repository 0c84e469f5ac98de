"""Passwords do not appear in what a build prints."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.images.secrets import needs_host_network, redact
from mldeploy_jupyter.images.types import BuildSecrets

SECRETS = BuildSecrets(
    {"HTTPS_PROXY": "http://me:proxypw@proxy.example:3128"},
    {"UV_INDEX": "https://u:indexpw@a.example/simple https://b.example", "UV_INDEX_A_PASSWORD": "otherpw"},
    registry_password="registrypw",
)


@pytest.mark.parametrize("word", ["proxypw", "indexpw", "otherpw", "registrypw", "//x:unknownpw@c.example"])
def test_passwords_are_replaced(word: str) -> None:
    text = redact(f"GET http:{word} failed", SECRETS)
    assert word not in text and "unknownpw" not in text and "****" in text


def test_other_text_stays() -> None:
    assert redact("Downloading six from https://b.example/six", SECRETS) == "Downloading six from https://b.example/six"


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("http://127.0.0.1:3141/root/pypi", True),
        ("http://localhost:3128", True),
        ("https://a.example https://127.9.9.9/simple", True),
        ("https://a.example/127.0.0.1", False),
        ("", False),
    ],
)
def test_an_address_of_this_machine_needs_its_network(address: str, host: bool) -> None:
    assert needs_host_network(BuildSecrets({}, {"UV_DEFAULT_INDEX": address})) is host
