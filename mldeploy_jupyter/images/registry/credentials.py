"""The user's credentials for a registry, where `docker login` and `podman login` keep them."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mldeploy_jupyter.core.files import read_json_if_valid
from mldeploy_jupyter.images.registry.reference import DOCKER_HUB

HELPER_TIMEOUT = 20.0  # seconds

# The answer of credential helpers that have nothing for a registry, as Docker's own helpers word it.
NOT_FOUND = re.compile(r"credentials not found|not found in native keychain|no credentials server URL", re.IGNORECASE)


@dataclass(frozen=True)
class Credentials:
    """User and password of a registry; or an identity token, which is exchanged for access tokens."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    def basic(self) -> str:
        """The header `Authorization` of HTTP basic authentication."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True)
class Found:
    """What was found for a registry. `note` says why there is nothing, for the error of a registry that refuses."""

    credentials: Credentials | None = None
    note: str = ""


def find_credentials(registry: str, environ: Mapping[str, str] | None = None) -> Found:
    """The credentials for a registry from the Docker configuration or its credential helpers, otherwise from Podman's.

    Files that cannot be read count as empty.
    """
    environ = os.environ if environ is None else environ
    notes = []
    for path in _files(environ):
        data = read_json_if_valid(path) or {}
        helper = _helper(data, registry)
        if helper:
            found = _ask_helper(helper, registry, environ)
            if found.credentials is not None:
                return found
            notes.append(found.note)
        credentials = _stored(data, registry)
        if credentials is not None:
            return Found(credentials)
    return Found(None, "; ".join(note for note in notes if note))


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environ.get("HOME") or Path.home())
    yield Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    if environ.get("REGISTRY_AUTH_FILE"):
        yield Path(environ["REGISTRY_AUTH_FILE"])
    if environ.get("XDG_RUNTIME_DIR"):
        yield Path(environ["XDG_RUNTIME_DIR"], "containers", "auth.json")
    yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json"


def _keys(registry: str) -> list[str]:
    """The names that a registry has in a configuration, the usual one first."""
    if registry == DOCKER_HUB:
        return ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"]
    return [registry, f"https://{registry}", f"http://{registry}"]


def _helper(data: Mapping[str, Any], registry: str) -> str:
    helpers = data.get("credHelpers")
    if isinstance(helpers, dict):
        for key in _keys(registry):
            if isinstance(helpers.get(key), str):
                return str(helpers[key])
    store = data.get("credsStore")
    return store if isinstance(store, str) else ""


def _stored(data: Mapping[str, Any], registry: str) -> Credentials | None:
    stored = data.get("auths")
    if not isinstance(stored, dict):
        return None
    # `docker login` may have added a path: "https://host/v1/".
    plain = {re.sub(r"^https?://|/(v[12]/?)?$", "", str(key)): value for key, value in stored.items()}
    for key in _keys(registry):
        entry = stored.get(key) or plain.get(re.sub(r"^https?://|/(v[12]/?)?$", "", key))
        if not isinstance(entry, dict):
            continue
        username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
        try:
            decoded = base64.b64decode(str(entry.get("auth") or "")).decode().rstrip("\0")
        except ValueError:
            decoded = ""
        if decoded:
            username, _, password = decoded.partition(":")
        token = str(entry.get("identitytoken") or "")
        if token or (username and password):
            return Credentials(username, password, token)
    return None


def _ask_helper(name: str, registry: str, environ: Mapping[str, str]) -> Found:
    program = shutil.which(f"docker-credential-{name}", path=environ.get("PATH"))
    if program is None or not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        return Found(None, f"the Docker configuration names the helper docker-credential-{name}, which is not there")
    for key in _keys(registry):
        try:
            done = subprocess.run(
                [program, "get"], input=key, capture_output=True, text=True, timeout=HELPER_TIMEOUT, env=dict(environ)
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return Found(None, f"docker-credential-{name} did not answer: {type(error).__name__}")
        if done.returncode != 0:
            said = " ".join((done.stdout + " " + done.stderr).split())[:200]
            if NOT_FOUND.search(said):
                continue
            return Found(None, f"docker-credential-{name} failed: {said}")
        try:
            answer = json.loads(done.stdout)
            username, secret = str(answer["Username"]), str(answer["Secret"])
        except (ValueError, KeyError, TypeError):
            return Found(None, f"docker-credential-{name} gave no credentials")
        if username == "<token>":
            return Found(Credentials(identity_token=secret))
        if secret:
            return Found(Credentials(username, secret))
    return Found()
