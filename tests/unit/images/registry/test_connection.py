from __future__ import annotations

import ssl

import pytest

from mldeploy_jupyter.images.registry.connection import Registry


@pytest.mark.parametrize(
    ("error", "code", "hopeless"),
    [
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "RegistryCertificate", True),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "RegistryPlainHttp", True),
        (ConnectionRefusedError(111, "Connection refused"), "RegistryUnreachable", False),
    ],
)
def test_what_keeps_a_request_from_being_answered(error: Exception, code: str, hopeless: bool) -> None:
    away = Registry("reg.example", environ={"HOME": "/nonexistent"}).away(error)
    assert (away.error.code, away.hopeless) == (code, hopeless)
