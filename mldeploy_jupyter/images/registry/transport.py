"""Connections to a registry: TLS with private certificates, proxies, plain HTTP on this machine."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mldeploy_jupyter.core.errors import ImageError
from mldeploy_jupyter.images.registry.reference import DOCKER_HUB, is_loopback

CONNECT_SECONDS = 5.0  # until the registry answers at all
READ_SECONDS = 60.0  # without a byte from a registry; on object storage completing a large blob takes long

# Where Docker and Podman keep the certificates of one registry: `<folder>/<host>/*.crt`, `client.cert`, `client.key`.
CERTIFICATES = ("/etc/docker/certs.d", "/etc/containers/certs.d")


def open_pool(registry: str, environ: Mapping[str, str] | None = None) -> Any:
    """A `urllib3` pool manager for the registry, through the proxy that the environment names. Raises `ImageError`."""
    import urllib3

    environ = os.environ if environ is None else environ
    options: dict[str, Any] = {
        "ssl_context": tls_context(registry, environ),
        "timeout": urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        "retries": False,
        "maxsize": 16,
    }
    proxy = proxy_for(registry, environ)
    if not proxy:
        return urllib3.PoolManager(**options)
    parts = urllib3.util.parse_url(proxy if "://" in proxy else f"http://{proxy}")
    if parts.scheme not in ("http", "https"):
        raise ImageError(
            f"the registry {registry} cannot be reached through the proxy",
            why=f"the environment names a proxy of the kind {parts.scheme}://; only http:// and https:// are known",
            hint="name an HTTP proxy in HTTPS_PROXY, or add the registry to NO_PROXY",
            code="ProxyFailed",
        )
    headers = urllib3.make_headers(proxy_basic_auth=unquote(parts.auth)) if parts.auth else {}
    return urllib3.ProxyManager(f"{parts.scheme}://{parts.netloc}", proxy_headers=headers, **options)


def proxy_for(registry: str, environ: Mapping[str, str]) -> str:
    """The address of the proxy for a registry, "" for none. As in Docker, this machine needs none."""
    if is_loopback(registry):
        return ""
    from requests.utils import should_bypass_proxies

    def value(name: str) -> str:
        return environ.get(name) or environ.get(name.upper()) or ""

    scheme = "http" if is_plain(registry, environ) else "https"
    if should_bypass_proxies(f"{scheme}://{api_host(registry)}", value("no_proxy")):
        return ""
    return value(f"{scheme}_proxy") or value("all_proxy")


def is_plain(registry: str, environ: Mapping[str, str]) -> bool:
    """Whether `MLDEPLOY_INSECURE_REGISTRIES`, hosts with commas between, allows the registry to speak plain HTTP."""
    return registry in [name.strip() for name in environ.get("MLDEPLOY_INSECURE_REGISTRIES", "").split(",")]


def tls_context(registry: str, environ: Mapping[str, str]) -> ssl.SSLContext:
    """Certificates of the system, of certifi, of `SSL_CERT_FILE`, and those that Docker keeps for this registry.

    Raises `ImageError` for a file of certificates that cannot be read.
    """
    import certifi

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    for path in _authorities(registry, environ):
        try:
            context.load_verify_locations(**({"capath": path} if os.path.isdir(path) else {"cafile": path}))
        except (OSError, ssl.SSLError) as error:
            raise ImageError(
                f"the certificates in {path} cannot be read",
                why=str(error),
                hint="give a PEM file with the certificate of your authority, in SSL_CERT_FILE for example",
                code="RegistryCertificate",
            ) from None
    for folder in _registry_folders(registry):
        certificate, key = folder / "client.cert", folder / "client.key"
        if certificate.is_file() and key.is_file():
            context.load_cert_chain(certificate, key)
    return context


def _authorities(registry: str, environ: Mapping[str, str]) -> Iterator[str]:
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if environ.get(name):
            yield environ[name]
    for folder in _registry_folders(registry):
        yield from map(str, sorted(folder.glob("*.crt")))


def _registry_folders(registry: str) -> list[Path]:
    return [Path(folder, registry) for folder in CERTIFICATES if os.path.isdir(os.path.join(folder, registry))]


def api_host(registry: str) -> str:
    """The host that answers for a registry."""
    return "registry-1.docker.io" if registry == DOCKER_HUB else registry
