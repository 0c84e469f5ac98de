"""Signed, expiring tokens: JWT with HS256 (RFC 7519), made on the owner's side and verified by the workers.

Only this module makes and reads them, so the header is a constant, and a token cannot choose another algorithm. The
signature covers the exact text, so the same claims in another spelling are rejected.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from typing import Any, TypeGuard

LIFETIME = 3600  # seconds that a token is valid
REFRESH_AFTER = 2700  # seconds after which a client should ask for the next token
LEEWAY = 60  # seconds by which two clocks may differ
MAX_TOKEN = 4096  # bytes; tokens of this module have about 300


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


_HEADER = _encode(b'{"alg":"HS256","typ":"JWT"}')


@dataclass(frozen=True)
class VerifiedToken:
    """A token with a good signature and claims: valid from `begins` until just before `ends`, in Unix seconds."""

    begins: float
    ends: float


def sign(secret: str, service: str, now: float) -> str:
    """A token for `service`, valid for `LIFETIME` seconds from `now` (Unix seconds)."""
    begins = int(now)
    claims = {"aud": service, "iat": begins, "nbf": begins, "exp": begins + LIFETIME}
    signed = _HEADER + b"." + _encode(json.dumps(claims, separators=(",", ":")).encode())
    return (signed + b"." + _signature(secret.encode(), signed)).decode()


def verify(secret: bytes, service: str, token: bytes) -> VerifiedToken | None:
    """When a token of this module for `service` is valid; None for any other text. The caller compares the time."""
    if not secret or len(token) > MAX_TOKEN:
        return None
    signed, _, signature = token.rpartition(b".")
    if not hmac.compare_digest(_signature(secret, signed), signature):
        return None
    header, _, payload = signed.partition(b".")
    if header != _HEADER:
        return None
    try:
        claims = json.loads(base64.b64decode(payload + b"=" * (-len(payload) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(claims, dict) or claims.get("aud") != service:
        return None
    times = [value for name in ("nbf", "iat", "exp") if _is_time(value := claims.get(name))]
    if len(times) != 3:
        return None
    not_before, issued, expires = times
    return VerifiedToken(max(not_before, issued) - LEEWAY, expires + LEEWAY)


def _signature(secret: bytes, signed: bytes) -> bytes:
    return _encode(hmac.digest(secret, signed, "sha256"))


def _is_time(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53
