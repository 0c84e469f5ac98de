from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.images.registry.connection import Away, Backoff, Registry, retry_after
from mldeploy_jupyter.images.registry.transport import is_plain, open_pool, proxy_for

ERROR = ImageError("the registry is away")


def waits(patience: float, aways: list[Away], jitter: float = 1.0) -> list[float]:
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 3))
        now[0] += seconds

    backoff = Backoff(patience, sleep, clock=lambda: now[0], jitter=lambda: jitter)
    try:
        for away in aways:
            backoff.wait(away)
    except ImageError as error:
        assert error is ERROR
        slept.append(-1)
    return slept


def test_waits_grow_until_patience_ends() -> None:
    assert waits(5, [Away(ERROR)] * 9) == [0.2, 0.4, 0.8, 1.6, -1]
    assert waits(60, [Away(ERROR)] * 20)[-3:] == [10.0, 10.0, -1]
    assert waits(5, [Away(ERROR)] * 3, jitter=0.0) == [0.1, 0.2, 0.4]


def test_wait_that_the_registry_asks_for_is_kept() -> None:
    assert waits(5, [Away(ERROR, 30.0)]) == [30.0]
    assert waits(5, [Away(ERROR, 500.0)]) == [-1]
    assert waits(5, [Away(ERROR, hopeless=True)]) == [-1]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        ("", None),
        ("soon", None),
    ],
)
def test_retry_after(header: str, seconds: float | None) -> None:
    assert retry_after(header, now=10.0) == seconds


@pytest.mark.parametrize(
    ("registry", "environ", "proxy"),
    [
        ("reg.example", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("reg.example", {"https_proxy": "http://p:1", "no_proxy": "reg.example"}, ""),
        ("reg.example:5000", {"https_proxy": "http://p:1", "NO_PROXY": ".example"}, ""),
        ("reg.example", {"ALL_PROXY": "http://p:2"}, "http://p:2"),
        ("127.0.0.1:5000", {"HTTPS_PROXY": "http://p:1", "ALL_PROXY": "http://p:2"}, ""),
        ("reg.example", {"HTTP_PROXY": "http://p:1"}, ""),
        ("reg.example", {"HTTP_PROXY": "http://p:1", "MLDEPLOY_INSECURE_REGISTRIES": "a, reg.example"}, "http://p:1"),
    ],
)
def test_proxy(registry: str, environ: dict[str, str], proxy: str) -> None:
    assert proxy_for(registry, environ) == proxy
    assert is_plain(registry, environ) == ("MLDEPLOY_INSECURE_REGISTRIES" in environ)


def test_proxy_of_another_kind_is_refused_by_name() -> None:
    with pytest.raises(ImageError, match="socks5") as refused:
        open_pool("reg.example", {"ALL_PROXY": "socks5://p:1"})
    assert refused.value.code == "ProxyFailed"


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ImageError, match=r"ca\.pem") as refused:
        open_pool("reg.example", {"SSL_CERT_FILE": str(tmp_path / "ca.pem")})
    assert refused.value.code == "RegistryCertificate"


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
