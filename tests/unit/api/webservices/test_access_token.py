"""The token of `get_access_token`, with v1's names and times."""

from __future__ import annotations

from datetime import datetime

from mldeploy_jupyter.api.webservices.access_token import WebServiceAccessToken


def test_its_times_are_local_and_its_data_has_their_zone() -> None:
    token = WebServiceAccessToken("secret", "Bearer", 1_700_000_000.0, 1_700_000_900.0)
    assert token.refresh_after == datetime.fromtimestamp(1_700_000_000) and token.refresh_after.tzinfo is None
    data = token.serialize()
    assert (data["accessToken"], data["tokenType"]) == ("secret", "Bearer")
    assert datetime.fromisoformat(data["expiryOn"]).timestamp() == 1_700_000_900


def test_its_repr_does_not_show_it() -> None:
    assert "secret" not in repr(WebServiceAccessToken("secret", "Bearer", 0.0, 0.0))
