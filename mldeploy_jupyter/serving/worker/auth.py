"""Who may call: the two keys of a service, or its signed tokens. Asked on every request, so it is kept cheap."""

from __future__ import annotations

import hmac
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from .. import tokens
from ..settings import Settings

_REMEMBERED = 4  # tokens whose signature need not be computed again

NO_KEY, WRONG_KEY = "a key is required", "the key is wrong"

NO_TOKEN, BAD_TOKEN = "a token is required", "the token is not valid"

EXPIRED, EARLY = "the token has expired", "the token is not valid yet"


class Auth:
    """Decides from the `Authorization` header alone. Keys and tokens exclude each other, as in v1.

    `set_keys` replaces keys and secret at once, between two requests. `clock` gives Unix seconds.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._service = settings.service
        self._tokens = settings.token_auth_enabled
        self._open = not (settings.auth_enabled or settings.token_auth_enabled)
        self._keys: list[bytes] = []  # a new one for new keys; see `proof`
        self._secret = b""
        self._accepted: deque[tuple[bytes, tokens.VerifiedToken]] = deque(maxlen=_REMEMBERED)

    def set_keys(self, keys: Mapping[str, str]) -> None:
        """Takes the content of the service's `keys.json`. What was valid before is not, unless it is there again."""
        self._keys = [keys[name].encode() for name in ("primaryKey", "secondaryKey") if keys.get(name)]
        self._secret = keys.get("tokenSecret", "").encode()
        # A new one: a request that is being checked meanwhile puts its token into the old.
        self._accepted = deque(maxlen=_REMEMBERED)

    @property
    def proof(self) -> Any:
        """What is another object whenever `allows` could answer otherwise than before; None where it must be asked."""
        return None if self._tokens else self._keys

    def allows(self, authorization: str | None) -> str:
        """Why the request is refused, as text for its answer; "" when it is allowed. Never raises."""
        if self._open:
            return ""
        if not authorization:
            return NO_TOKEN if self._tokens else NO_KEY
        scheme, _, rest = authorization.partition(" ")
        given = rest.strip().encode("utf-8", "surrogatepass") if scheme.lower() == "bearer" else b""
        if self._tokens:
            return self._check_token(given)
        # Every key is compared to its end, so the time tells neither which nor how much of it was right.
        right = 0
        for key in self._keys:
            right |= hmac.compare_digest(key, given)
        return "" if right and given else WRONG_KEY

    @property
    def hint(self) -> str:
        """What a client that was refused should send."""
        return f"Send the header Authorization: Bearer <{'token' if self._tokens else 'key'}>."

    def challenge(self, reason: str) -> bytes:
        """The value of `WWW-Authenticate` (RFC 6750) for a reason that `allows` gave."""
        if reason in (BAD_TOKEN, EXPIRED, EARLY):
            return f'Bearer error="invalid_token", error_description="{reason}"'.encode()
        return b"Bearer"

    def _check_token(self, given: bytes) -> str:
        if not given:
            return NO_TOKEN
        accepted, checked = self._accepted, None
        for token, times in accepted:
            if hmac.compare_digest(token, given):
                checked = times
        fresh = checked is None
        if checked is None:
            checked = tokens.verify(self._secret, self._service, given)
        if checked is None:
            return BAD_TOKEN
        now = self._clock()
        if now >= checked.ends:
            return EXPIRED
        if now < checked.begins:
            return EARLY
        if fresh:
            accepted.append((given, checked))
        return ""
