from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.images.registry.credentials import Credentials, find_credentials


class User:
    """A user's home; `environ` is what `find_credentials` gets."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {"HOME": str(home), "PATH": f"{home}/bin:/usr/bin:/bin"}

    def config(self, data: Any) -> None:
        path = self.home / ".docker" / "config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(data if isinstance(data, str) else json.dumps(data))

    def helper(self, name: str, body: str) -> None:
        path = self.home / "bin" / f"docker-credential-{name}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\nread server\n{body}\n")
        path.chmod(0o755)


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


def encoded(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    "key", ["reg.example:5000", "https://reg.example:5000", "https://reg.example:5000/v1/", "http://reg.example:5000"]
)
def test_docker_login(user: User, key: str) -> None:
    user.config({"auths": {key: encoded("ann:pa:ss")}})
    assert find_credentials("reg.example:5000", user.environ).credentials == Credentials("ann", "pa:ss")
    assert find_credentials("reg.example", user.environ).credentials is None


def test_docker_hub_has_a_name_of_its_own(user: User) -> None:
    user.config({"auths": {"https://index.docker.io/v1/": encoded("ann:x")}})
    assert find_credentials("docker.io", user.environ).credentials == Credentials("ann", "x")


def test_identity_token(user: User) -> None:
    user.config({"auths": {"reg.example": {**encoded("00000000:"), "identitytoken": "t0ken"}}})
    found = find_credentials("reg.example", user.environ).credentials
    assert found is not None
    assert found.identity_token == "t0ken"


def test_podman_login(user: User) -> None:
    path = user.home / "run" / "containers" / "auth.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"auths": {"reg.example": encoded("bob:y")}}))
    environ = {**user.environ, "XDG_RUNTIME_DIR": str(user.home / "run")}
    assert find_credentials("reg.example", environ).credentials == Credentials("bob", "y")


def test_helper_of_one_registry_comes_first(user: User) -> None:
    user.config({"credHelpers": {"reg.example": "own"}, "credsStore": "other", "auths": {"reg.example": {}}})
    user.helper("own", """echo '{"Username":"ann","Secret":"z"}'""")
    user.helper("other", "exit 1")
    assert find_credentials("reg.example", user.environ).credentials == Credentials("ann", "z")


def test_token_of_a_helper(user: User) -> None:
    user.config({"credsStore": "own"})
    user.helper("own", """echo '{"Username":"<token>","Secret":"t"}'""")
    assert find_credentials("reg.example", user.environ).credentials == Credentials(identity_token="t")


def test_helper_without_the_registry_leaves_what_is_stored(user: User) -> None:
    user.config({"credsStore": "own", "auths": {"reg.example": encoded("ann:x")}})
    user.helper("own", "echo credentials not found in native keychain; exit 1")
    assert find_credentials("reg.example", user.environ).credentials == Credentials("ann", "x")


@pytest.mark.parametrize(
    ("body", "note"),
    [("echo locked >&2; exit 1", "docker-credential-own failed: locked"), ("echo {", "gave no credentials")],
)
def test_helper_that_fails_is_named(user: User, body: str, note: str) -> None:
    user.config({"credsStore": "own"})
    user.helper("own", body)
    found = find_credentials("reg.example", user.environ)
    assert found.credentials is None
    assert note in found.note


def test_helper_that_is_not_there_is_named(user: User) -> None:
    user.config({"credsStore": "desktop"})
    assert "docker-credential-desktop" in find_credentials("reg.example", user.environ).note


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"auths": []}',
        '{"auths": {"reg.example": 1}}',
        '{"auths": {"reg.example": {"auth": "%"}}}',
        '{"credHelpers": 1}',
    ],
)
def test_damaged_file_counts_as_empty(user: User, text: str) -> None:
    user.config(text)
    assert find_credentials("reg.example", user.environ).credentials is None


def test_secrets_are_not_shown() -> None:
    assert "hidden" not in repr(Credentials("ann", "hidden", "hidden"))
