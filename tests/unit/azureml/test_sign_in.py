"""v1's classes to sign in are accepted and ignored."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.azureml import sign_in
from mldeploy_jupyter.core.errors import UserErrorException


def test_signing_in_is_ignored_with_one_note(
    migrated: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from azureml.core.authentication import ServicePrincipalAuthentication  # type: ignore[import-not-found]

    monkeypatch.setattr(sign_in, "_noted", set())
    made = [ServicePrincipalAuthentication("tenant", "id", service_principal_password="hush") for _ in range(2)]
    assert capsys.readouterr().out == (
        "ServicePrincipalAuthentication is accepted and ignored: "
        "a workspace is a folder, there is nothing to sign in to.\n"
    )
    assert "hush" not in repr(made[0]) and "hush" not in str(vars(made[0]))
    with pytest.raises(UserErrorException, match="has no authentication header"):
        made[0].get_authentication_header()
