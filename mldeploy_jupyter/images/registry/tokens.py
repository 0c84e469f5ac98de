"""Token authentication of registries: a challenge names a token server, which gives tokens for some scopes."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.images.registry.credentials import Credentials

LIFETIME = 60.0  # seconds of a token whose server does not say; the specification's least
MARGIN = 5.0  # seconds before its end at which a token is replaced

_PARAMETER = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True)
class Challenge:
    """The header `WWW-Authenticate`: `scheme` is basic or bearer."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""
    error: str = ""


def parse_challenge(header: str) -> Challenge | None:
    """The challenge of a registry that refused a request, the bearer one where there are several; None without one."""
    found = []
    for match in re.finditer(r"\b(basic|bearer)\b(?!\s*=)", header, re.IGNORECASE):
        rest = re.split(r"(?i),\s*(?:basic|bearer)\s", header[match.end() :])[0]
        values = {
            m[1].lower(): re.sub(r"\\(.)", r"\1", m[2]) if m[3] is None else m[3] for m in _PARAMETER.finditer(rest)
        }
        names = ("realm", "service", "scope", "error")
        found.append(Challenge(match[1].lower(), *(values.get(name, "") for name in names)))
    return max(found, key=lambda challenge: challenge.scheme == "bearer", default=None)


# get(method, address, fields, authorization) -> (status, JSON object)
Ask = Callable[[str, str, list[tuple[str, str]], str], tuple[int, dict[str, Any]]]


class Tokens:
    """The access tokens of one registry, by what they allow. Safe to use from several threads.

    `ask` sends a request to the token server, `clock` counts seconds.
    """

    def __init__(
        self, registry: str, credentials: Credentials | None, ask: Ask, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry, self._credentials, self._ask, self._clock = registry, credentials, ask, clock
        self._tokens: dict[tuple[str, ...], tuple[str, float]] = {}
        self._challenge: Challenge | None = None
        self._lock = threading.Lock()

    def header(self, scopes: Iterable[str]) -> str:
        """The header `Authorization` for these scopes; "" until the registry has asked for authentication."""
        challenge = self._challenge
        if challenge is None:
            return ""
        if challenge.scheme == "basic":
            return self._credentials.basic() if self._credentials is not None else ""
        wanted = tuple(sorted(scopes))
        with self._lock:  # one request for a token, however many threads need it
            token, end = self._tokens.get(wanted, ("", 0.0))
            if self._clock() >= end:
                token, seconds = self._fetch(challenge, wanted)
                self._tokens[wanted] = (token, self._clock() + seconds - MARGIN)
        return f"Bearer {token}"

    def refuse(self, challenge: Challenge, sent: str) -> bool:
        """Takes note of a request that was refused with the header `sent`. Whether another one is worth sending."""
        with self._lock:
            first, self._challenge = self._challenge is None, challenge
            if challenge.scheme == "basic":
                return self._credentials is not None and not sent
            for scopes, (token, _) in list(self._tokens.items()):
                if sent == f"Bearer {token}":
                    del self._tokens[scopes]
            return first or bool(sent)

    def _fetch(self, challenge: Challenge, scopes: tuple[str, ...]) -> tuple[str, float]:
        """A token and how long it lasts, in seconds. Raises `ImageError`."""
        fields = [("service", challenge.service)] if challenge.service else []
        credentials = self._credentials
        if credentials is not None and credentials.identity_token:
            fields += [("grant_type", "refresh_token"), ("refresh_token", credentials.identity_token)]
            fields += [("client_id", "mldeploy"), ("scope", " ".join(scopes))]
            status, answer = self._ask("POST", challenge.realm, fields, "")
        else:
            fields += [("scope", scope) for scope in scopes]
            fields += [("account", credentials.username)] if credentials is not None else []
            basic = credentials.basic() if credentials is not None else ""
            status, answer = self._ask("GET", challenge.realm, fields, basic)
        token = answer.get("token") or answer.get("access_token")
        if status != 200 or not isinstance(token, str):
            server = urlsplit(challenge.realm).netloc
            said = str(answer.get("details") or answer.get("message") or "")[:200]
            raise ImageError(
                f"the registry {self._registry} refuses access",
                why=f"its token server {server} answered {status}{f': {said}' if said else ''}",
                hint=f"docker login {self._registry}",
                code="RegistryRefused",
            )
        try:
            seconds = float(answer.get("expires_in") or LIFETIME)
        except (TypeError, ValueError):
            seconds = LIFETIME
        return token, max(seconds, 2 * MARGIN)
