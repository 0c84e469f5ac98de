from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.images.registry.transport import is_plain, open_pool, proxy_for


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
