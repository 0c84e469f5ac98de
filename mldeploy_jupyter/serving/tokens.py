"""Signed, expiring tokens: JWT with HS256 (RFC 7519), made by the owner's side and checked by the workers.

Only this module makes and reads them, so the header is one fixed text: there is no algorithm to choose, and none
to be talked into. The signature is over the exact text, so no other writing of the same token is accepted.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from typing import Any, TypeGuard

LIFETIME = 3600  # seconds from making a token to its end
REFRESH_AFTER = 2700  # seconds after which its holder should ask for the next one
LEEWAY = 60  # seconds that two clocks may differ
MAX_TOKEN = 4096  # bytes; ours have about 300


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


_HEADER = _encode(b'{"alg":"HS256","typ":"JWT"}')


@dataclass(frozen=True)
class Checked:
    """A token whose signature and claims are right: it counts from `begins` until before `ends`, Unix seconds."""

    begins: float
    ends: float


def sign(secret: str, service: str, now: float) -> str:
    """A token for `service`, valid for `LIFETIME` seconds from `now` (Unix seconds)."""
    begins = int(now)
    claims = {"aud": service, "iat": begins, "nbf": begins, "exp": begins + LIFETIME}
    signed = _HEADER + b"." + _encode(json.dumps(claims, separators=(",", ":")).encode())
    return (signed + b"." + _signature(secret.encode(), signed)).decode()


def check(secret: bytes, service: str, token: bytes) -> Checked | None:
    """The times of a token of ours for `service`; None for anything else. Whether it is time says the caller."""
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
    return Checked(max(not_before, issued) - LEEWAY, expires + LEEWAY)


def _signature(secret: bytes, signed: bytes) -> bytes:
    return _encode(hmac.digest(secret, signed, "sha256"))


def _is_time(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53
