"""Which names the service answers to.

A page in a browser on this machine can reach a service on loopback: through a DNS name that it rebinds to 127.0.0.1,
or with a plain form. It cannot choose the headers `Host` and `Origin`, so these tell its requests from others.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from ..http.exchange import Exchange
from ..scoring.messages import Response, error_response

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")

PROBE_PATHS = ("/", "/ready")

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{0,5})?", re.IGNORECASE)

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://" + _HOST.pattern, re.IGNORECASE)


class HostCheck:
    """Refuses requests for other hosts, and those of other sites' pages.

    `allowed` are further names, or `["*"]`, which switches the check off. So does a `bound` address that is not
    loopback, unless names are given: a service on a network is called by names that it does not know.
    Pages of `cors_origins` may call whatever their host. At an address that is not loopback, orchestrators may ask for
    liveness and readiness by the container's own address, which is not known beforehand, and no page rebinds.
    """

    def __init__(self, allowed: Sequence[str], cors_origins: Sequence[str], bound: str = "127.0.0.1") -> None:
        self._off = "*" in allowed or not (allowed or _is_loopback(bound))
        self._asked_by_address = not _is_loopback(bound)
        address = f"[{bound}]" if ":" in bound else bound
        self._names = frozenset(name.lower() for name in (*LOOPBACK_NAMES, address, *allowed))
        self._cors_origins = frozenset(cors_origins)
        self._accepted: tuple[str | None, str | None] | None = None  # the last host and origin that passed

    def refuse(self, exchange: Exchange) -> Response | None:
        """The refusal, or None. 400 when `Host` is no host, 403 when it is another's or the page is.

        A request without `Host` is let through: it is one in HTTP/1.0, which no browser sends.
        """
        headers = exchange.headers
        host, origin = headers.get("host"), headers.get("origin")
        plain = exchange.target[:1] == b"/" and "sec-fetch-site" not in headers
        if plain and (host, origin) == self._accepted:  # clients repeat themselves
            return None
        refusal = self._check(exchange, host, origin)
        if plain and refusal is None and exchange.path not in PROBE_PATHS:
            self._accepted = (host, origin)
        return refusal

    def _check(self, exchange: Exchange, host: str | None, origin: str | None) -> Response | None:
        headers, name = exchange.headers, ""
        if exchange.target[:1] not in (b"/", b"*"):  # the whole URL, whose host counts (RFC 9112, 3.2.2)
            authority = re.split(r"[/?#]", exchange.target.decode("latin-1").partition("://")[2], maxsplit=1)[0]
            host = authority if host is None or _HOST.fullmatch(host) else host
        if host is not None:
            found = _HOST.fullmatch(host)
            if found is None:
                return error_response(400, "bad-request", "the header Host is not a host and a port", "host")
            name = found[1].lower()
        if self._off:
            return None
        if name and name not in self._names:
            if self._asked_by_address and origin is None and exchange.path in PROBE_PATHS and _is_address(name):
                return None
            return _refusal(f"the service does not answer to the host {name}", "host")
        if origin is None:
            # Without CORS a browser sends no Origin when a page of another site loads this as an image.
            if headers.get("sec-fetch-site") == "cross-site" and exchange.path == "/score" and not self._cors_origins:
                return _refusal("the service does not answer pages of other sites", "sec-fetch-site")
            return None
        if not self._cors_origins.isdisjoint((origin, "*")):
            return None
        page = _ORIGIN.fullmatch(origin)
        if page is None or page[1].lower() not in self._names:
            return _refusal("the service does not answer pages of this origin", "origin")
        return None


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _refusal(text: str, where: str) -> Response:
    hint = "Its owner names the hosts of proxies in allowed_hosts, and the origins of pages in cors_origins."
    return error_response(403, "host-not-allowed", text, where, hint)
