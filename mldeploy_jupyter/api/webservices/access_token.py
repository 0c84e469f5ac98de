"""`WebServiceAccessToken`: what `Webservice.get_access_token` returns."""

from __future__ import annotations

from datetime import datetime
from typing import Any


class WebServiceAccessToken:
    """A token, with its times as v1 gave them: `datetime`s in local time without a zone.

    `access_token` goes into the header as `Authorization: Bearer <access_token>`. After `refresh_after` ask for the
    next one; at `expiry_on` it stops working.
    """

    def __init__(self, access_token: str, token_type: str, refresh_after: float, expiry_on: float) -> None:
        """The times are Unix seconds."""
        self.access_token = access_token
        self.token_type = token_type
        self.refresh_after = datetime.fromtimestamp(refresh_after)
        self.expiry_on = datetime.fromtimestamp(expiry_on)

    def serialize(self) -> dict[str, Any]:
        """As JSON data with v1's keys, the token in clear; the times have their zone."""
        return {
            "accessToken": self.access_token,
            "tokenType": self.token_type,
            "refreshAfter": self.refresh_after.astimezone().isoformat(timespec="seconds"),
            "expiryOn": self.expiry_on.astimezone().isoformat(timespec="seconds"),
        }

    def __repr__(self) -> str:
        return f"WebServiceAccessToken(access_token=********, expiry_on={self.expiry_on!r})"
