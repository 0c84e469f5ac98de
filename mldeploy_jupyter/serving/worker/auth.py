"""Who may call: holders of the service's two keys, or of its signed tokens. Checked on every request, so cheap."""

from __future__ import annotations

import hmac
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from .. import tokens
from ..settings import Settings

_MAX_VERIFIED = 4  # tokens whose signature need not be computed again

NO_KEY, WRONG_KEY = "a key is required", "the key is wrong"

NO_SCHEME = 'the Authorization header does not begin with "Bearer "'

NO_TOKEN, BAD_TOKEN = "a token is required", "the token is not valid"

EXPIRED, NOT_YET_VALID = "the token has expired", "the token is not valid yet"


class Auth:
    """Decides from the `Authorization` header alone. Keys and tokens exclude each other, as in v1.

    `set_keys` replaces keys and secret between two requests. `clock` returns Unix seconds.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._service = settings.service
        self._tokens = settings.token_auth_enabled
        self._open = not (settings.auth_enabled or settings.token_auth_enabled)
        self._keys: list[bytes] = []
        self._secret = b""
        self._verified: deque[tuple[bytes, tokens.VerifiedToken]] = deque(maxlen=_MAX_VERIFIED)
        # Identity of the current key set: a cached verdict is valid while this is the same object. None: verdicts must
        # not be cached, because tokens expire.
        self.cache_epoch: Any = None if self._tokens else self._keys

    def set_keys(self, keys: Mapping[str, str]) -> None:
        """Takes the content of the service's `keys.json`. Keys and tokens that it does not confirm are void."""
        self._keys = [keys[name].encode() for name in ("primaryKey", "secondaryKey") if keys.get(name)]
        self._secret = keys.get("tokenSecret", "").encode()
        # A new deque: a request that is being checked now adds its token to the old one.
        self._verified = deque(maxlen=_MAX_VERIFIED)
        self.cache_epoch = None if self._tokens else self._keys

    def allows(self, authorization: str | None) -> str:
        """Why the request is refused, as text for its answer; "" if it is allowed. Never raises."""
        if self._open:
            return ""
        if not authorization:
            return NO_TOKEN if self._tokens else NO_KEY
        scheme, _, rest = authorization.partition(" ")
        is_bearer = scheme.lower() == "bearer"
        given = rest.strip(" \t").encode("utf-8", "surrogatepass") if is_bearer else b""
        if self._tokens:
            return self._check_token(given)
        if not is_bearer:
            return NO_SCHEME
        # Every key is compared in full, so the time reveals neither which key nor how much of it matched.
        matched = 0
        for key in self._keys:
            matched |= hmac.compare_digest(key, given)
        return "" if matched and given else WRONG_KEY

    @property
    def hint(self) -> str:
        """What a refused client should send."""
        return f"Send the header Authorization: Bearer <{'token' if self._tokens else 'key'}>."

    def challenge(self, reason: str) -> bytes:
        """The value of `WWW-Authenticate` (RFC 6750) for a reason that `allows` returned."""
        if reason in (BAD_TOKEN, EXPIRED, NOT_YET_VALID):
            return f'Bearer error="invalid_token", error_description="{reason}"'.encode()
        return b"Bearer"

    def _check_token(self, given: bytes) -> str:
        if not given:
            return NO_TOKEN
        verified, checked = self._verified, None
        for token, claims in verified:
            if hmac.compare_digest(token, given):
                checked = claims
        new = checked is None
        if checked is None:
            checked = tokens.verify(self._secret, self._service, given)
        if checked is None:
            return BAD_TOKEN
        now = self._clock()
        if now >= checked.ends:
            return EXPIRED
        if now < checked.begins:
            return NOT_YET_VALID
        if new:
            verified.append((given, checked))
        return ""
