"""Requests for other hosts, and those of other sites' pages, are refused; a setting lets proxies through."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from mldeploy_jupyter.serving.worker.host_check import HostCheck
from tests.fuzz.wire import Bench, answers

LOCAL = b"Host: localhost\r\n"
PROXIED: dict[str, Any] = {"allowed_hosts": ["App.example"]}
CORS: dict[str, Any] = {"cors_origins": ["https://page.example"]}

WANTED = {
    "localhost": (LOCAL, {}, 200),
    "localhost in capitals": (b"Host: LOCALHOST:80\r\n", {}, 200),
    "an IPv4 address": (b"Host: 127.0.0.1:1\r\n", {}, 200),
    "an IPv6 address": (b"Host: [::1]:65535\r\n", {}, 200),
    "another port, as through a tunnel": (b"Host: localhost:9\r\n", {}, 200),
    "a port that is left out": (b"Host: localhost:\r\n", {}, 200),
    "a rebound name": (b"Host: evil.com\r\n", {}, 403),
    "a name that begins alike": (b"Host: localhost.evil.com\r\n", {}, 403),
    "a name that ends alike": (b"Host: evil-localhost\r\n", {}, 403),
    "another address": (b"Host: 10.0.0.1\r\n", {}, 403),
    "the host of a proxy": (b"Host: app.EXAMPLE:443\r\n", PROXIED, 200),
    "localhost beside a proxy": (LOCAL, PROXIED, 200),
    "another host than the proxy's": (b"Host: evil.com\r\n", PROXIED, 403),
    "any": (b"Host: evil.com\r\nOrigin: null\r\n", {"allowed_hosts": ["*"]}, 200),
    "two in one": (b"Host: localhost, localhost\r\n", {}, 400),
    "two in one, where any is allowed": (b"Host: a, b\r\n", {"allowed_hosts": ["*"]}, 400),
    "two in one without a space": (b"Host: localhost,localhost\r\n", {}, 400),
    "a user": (b"Host: u@localhost:1\r\n", {}, 400),
    "a path": (b"Host: localhost/x\r\n", {}, 400),
    "a port that is not a number": (b"Host: localhost:x\r\n", {}, 400),
    "empty": (b"Host:\r\n", {}, 400),
    "missing": (b"", {}, 400),
    "twice": (LOCAL + LOCAL, {}, 400),
    "a page of this machine": (LOCAL + b"Origin: http://localhost:8888\r\n", {}, 200),
    "a page of another site": (LOCAL + b"Origin: https://evil.com\r\n", {}, 403),
    "a page that looks alike": (LOCAL + b"Origin: https://localhost.evil.com\r\n", {}, 403),
    "a page with a user": (LOCAL + b"Origin: http://localhost@evil.com\r\n", {}, 403),
    "a page without an origin": (LOCAL + b"Origin: null\r\n", {}, 403),
    "a page of the proxy": (LOCAL + b"Origin: https://app.example\r\n", PROXIED, 200),
    "a page of CORS": (LOCAL + b"Origin: https://page.example\r\n", CORS, 200),
    "a page beside CORS": (LOCAL + b"Origin: https://other.example\r\n", CORS, 403),
    "any page": (LOCAL + b"Origin: null\r\n", {"cors_origins": ["*"]}, 200),
    "CORS for another host": (b"Host: evil.com\r\nOrigin: https://page.example\r\n", CORS, 403),
    "an image of another site": (LOCAL + b"Sec-Fetch-Site: cross-site\r\n", {}, 403),
    "an address that somebody types": (LOCAL + b"Sec-Fetch-Site: none\r\n", {}, 200),
}


def ask(bench: Bench, head: bytes) -> tuple[int, bytes]:
    bench.feed(head)
    bench.finish()
    status, _, body = answers(bytes(bench.socket.sent), [])[-1]
    return status, body


@pytest.mark.parametrize(("headers", "settings", "wanted"), WANTED.values(), ids=WANTED)
def test_hosts_and_origins(headers: bytes, settings: dict[str, Any], wanted: int) -> None:
    bench = Bench(**{"allowed_hosts": [], **settings})
    try:
        for _ in range(2):  # a head that comes again
            post = b"POST /score HTTP/1.1\r\ncontent-type: text/plain\r\ncontent-length: 1\r\n" + headers + b"\r\na"
            status, body = ask(bench, post)
            assert status == wanted, body
            if bench.over:
                break
        if wanted == 403:
            error = json.loads(body)["error"]
            assert error["code"] == "host-not-allowed" and "allowed_hosts" in error["hint"]
    finally:
        bench.end()


@pytest.mark.parametrize("path", [b"/", b"/ready", b"/metrics", b"/swagger.json", b"/score", b"/none"])
def test_no_route_answers_a_rebound_name(path: bytes) -> None:
    bench = Bench(allowed_hosts=[])
    try:
        assert ask(bench, b"GET " + path + b" HTTP/1.1\r\nhost: evil.com\r\n\r\n")[0] == 403
        assert ask(bench, b"OPTIONS " + path + b" HTTP/1.1\r\nhost: evil.com\r\n\r\n")[0] == 403
        assert ask(bench, b"GET http://evil.com" + path + b" HTTP/1.1\r\nhost: localhost\r\n\r\n")[0] == 403
    finally:
        bench.end()


@pytest.mark.parametrize("host", ["10.0.3.7:5001", "[fd00::7]:5001"])
def test_a_cluster_asks_for_liveness_and_readiness_by_the_address_of_the_container(host: str) -> None:
    check = HostCheck(["churn.example.com"], [], bound="0.0.0.0")
    for _ in range(2):  # what passes for one path is not remembered for another
        assert check.refuse(exchange(host, "/")) is None and check.refuse(exchange(host, "/ready")) is None
        assert refused(check, exchange(host, "/score")) and refused(check, exchange(host, "/metrics"))
        assert check.refuse(exchange("churn.example.com", "/score")) is None
    assert refused(check, exchange("evil.com", "/ready"))
    assert refused(check, exchange(host, "/ready", origin="http://evil.com"))
    assert refused(HostCheck([], []), exchange(host, "/ready"))  # on loopback, no cluster asks


def exchange(host: str, path: str, **headers: str) -> Any:
    return SimpleNamespace(headers={"host": host, **headers}, target=path.encode(), path=path)


def refused(check: HostCheck, exchange: Any) -> bool:
    response = check.refuse(exchange)
    return response is not None and response.status == 403


def test_the_supervisors_own_requests_and_those_of_http_1_0_need_no_host() -> None:
    bench = Bench(allowed_hosts=[])
    try:
        assert ask(bench, b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")[0] == 200
        bench.connection.private = True
        assert ask(bench, b"GET / HTTP/1.1\r\nhost: probe\r\n\r\n")[0] == 200
    finally:
        bench.end()


@pytest.mark.parametrize(
    ("bound", "allowed", "host", "wanted"),
    [
        ("127.0.0.2", [], "127.0.0.2", True),
        ("::1", [], "[::1]", True),
        ("127.0.0.1", [], "service.example", False),
        ("0.0.0.0", [], "service.example", True),
        ("10.0.0.1", ["service.example"], "service.example", True),
        ("10.0.0.1", ["service.example"], "10.0.0.1", True),
        ("10.0.0.1", ["service.example"], "evil.com", False),
    ],
)
def test_a_service_of_a_network_checks_hosts_only_when_they_are_named(
    bound: str, allowed: list[str], host: str, wanted: bool
) -> None:
    from mldeploy_jupyter.serving.http.exchange import Exchange

    exchange = Exchange(None, 0.0, {"host": host})  # type: ignore[arg-type]
    exchange.target = b"/"
    assert (HostCheck(allowed, [], bound).refuse(exchange) is None) is wanted
