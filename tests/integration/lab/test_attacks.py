"""What an attacker may try against the routes: each is refused, with a failure of ours and without any effect."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mldeploy_jupyter import Workspace
from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.lab.routes import ROUTES
from tests.integration.deployment.conftest import Site, live
from tests.integration.lab.conftest import Server, StartServer

NAMES = {"workspace": "0a", "service": "churn", "deployment": "d1", "model": "m:1", "form": "deploy",
         "run": "20261127T120000-a1b2c3"}  # fmt: skip
ADDRESSES = [(route.method, route.path.format(**NAMES)) for route in ROUTES]
ADDRESSES += [("POST", "stream"), ("POST", f"stream/{'0' * 32}"), ("GET", "openapi.json"), ("GET", "nothing")]


@pytest.mark.parametrize("token", ["", "wrong", "secret-toke", "secret-tokenx"], ids=["none", "wrong", "short", "long"])
def test_without_the_token_nothing_is_told(server: Server, token: str) -> None:
    for method, path in ADDRESSES:
        reply = server.send(method, path, {} if method == "POST" else None, token=token)
        assert (path, reply.status, reply.code) == (path, 403, "forbidden")


def test_a_token_in_the_query_or_of_another_kind_is_checked_like_any_other(server: Server) -> None:
    assert server.get("services?all=true&token=wrong", token="").status == 403
    assert server.get(f"services?all=true&token={server.token}", token="").status == 200
    assert server.get("services", headers={"Authorization": f"Basic {server.token}"}, token="").status == 403


def test_a_strangers_body_is_not_read(server: Server) -> None:
    """The answer comes before the body does."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as stranger:
        head = f"POST {server.api('services/0a/churn/score')} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        stranger.sendall(f"{head}Content-Length: 60000000\r\nContent-Type: application/json\r\n\r\n{{".encode())
        assert stranger.recv(100).startswith(b"HTTP/1.1 403")


@pytest.fixture(scope="module")
def signed_in(start_server: StartServer) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server, and the cookies of a browser that is signed in."""
    server, found = start_server(), {}
    for path in ("/login", f"/login?token={server.token}"):  # the first gives the token against forged requests
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", path, headers={"Cookie": "; ".join(f"{k}={v}" for k, v in found.items())})
        with closing(connection), connection.getresponse() as response:
            for line in response.headers.get_all("Set-Cookie") or []:
                name, _, value = line.partition(";")[0].partition("=")
                found[name] = value
    yield server, {"Cookie": "; ".join(f"{name}={value}" for name, value in found.items())}


def test_a_forged_request_is_refused(signed_in: tuple[Server, dict[str, str]]) -> None:
    """A page of another site sends the cookies along, and cannot read the token that must be sent with them."""
    server, cookies = signed_in
    found = dict(each.split("=", 1) for each in cookies["Cookie"].split("; "))
    xsrf = {"X-XSRFToken": found["_xsrf"]}
    own = {"Origin": f"http://127.0.0.1:{server.port}", "Referer": f"http://127.0.0.1:{server.port}/lab"}
    foreign = {"Origin": "https://evil.example", "Referer": "https://evil.example/"}
    assert server.get("services?all=true", token="", headers=cookies | own).status == 200
    changing = [(method, path) for method, path in ADDRESSES if method != "GET"]
    for method, path in changing:
        body = {} if method == "POST" else None
        assert server.send(method, path, body, token="", headers=cookies).code == "forbidden"
        assert server.send(method, path, body, token="", headers=cookies | {"X-XSRFToken": "x"}).code == "forbidden"
        reply = server.send(method, path, body, token="", headers=cookies | foreign | xsrf)
        assert (reply.status, reply.code) == (404, "not-found")  # as if there were nothing
        if path != "stream":  # it would continue
            with_token = server.send(method, path, body, token="", headers=cookies | xsrf | own)
            assert with_token.status != 403, path
    # What a form of another page can send without being asked for permission first: no JSON, and no token.
    forged = cookies | foreign | {"Content-Type": "text/plain"}
    assert server.post("services/0a/churn/stop", b"{}", token="", headers=forged).status in (403, 404)


def test_another_origin_is_told_nothing(signed_in: tuple[Server, dict[str, str]]) -> None:
    server, cookies = signed_in
    for headers in ({"Origin": "https://evil.example"}, {"Referer": "https://evil.example/x", "Host": "evil.example"}):
        reply = server.get("services?all=true", token="", headers=cookies | headers)
        assert reply.status in (403, 404) and reply.code in ("forbidden", "not-found")
        assert reply.headers["Access-Control-Allow-Origin"] in (None, "")


def test_a_server_without_a_password_still_refuses_other_sites(start_server: StartServer) -> None:
    server = start_server("--ServerApp.password=", "--ServerApp.disable_check_xsrf=False", token="")
    assert server.get("services?all=true").status == 200
    assert server.get("services?all=true", headers={"Host": "evil.example"}).status == 403  # DNS rebinding
    assert server.get("services?all=true", headers={"Origin": "https://evil.example"}).status == 404
    assert server.post("services/0a/churn/stop").code == "forbidden"  # no token against forged requests


def test_the_servers_authorizer_decides(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    server = start_server("--ServerApp.authorizer_class=tests.integration.lab.read_only.ReadOnly")
    assert server.get("services?all=true").status == 200
    server.stream().close()
    for method, path in ADDRESSES:
        if method != "GET" and not path.startswith("stream"):
            assert server.send(method, path, {} if method == "POST" else None).code == "forbidden", path


TRICKS = [
    "services/../../../api/contents",
    "services/..%2f..%2fetc/churn",
    "services/%2e%2e/churn",
    "services/0a/..",
    "services/0a/../../openapi.json",
    "services/0a/churn%00",
    "services/0a/churn%0d%0aX-Evil:1",
    "services/0a/churn/log/../../..",
    "services/0a/churn;x=1",
    "services/0a/CHURN",
    "services//churn",
    "deployments/0a/..%2f..%2fstore.db/log",
    "deployments/0a/%2e%2e/log/text",
    "models/0a/..%2fx:1",
    "latency/0a/../../openapi.json",
    "latency/0a/%2e%2e",
    "latency/0a/20260101T000000-aaaaaa/../../../x",
    "models/0a/m:1/../cell",
    "forms/other",
    "stream/" + "g" * 32,
    "openapi.json/../../x",
    "services/" + "a" * 5000 + "/churn",
]  # fmt: skip


@pytest.mark.parametrize("path", TRICKS)
def test_a_path_leads_nowhere_else(server: Server, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        reply = server.send(method, path, {} if method == "POST" else None)
        assert (reply.status, reply.code) in [(404, "not-found"), (405, "bad-request"), (400, "bad-request")], (
            reply.data
        )
        assert "X-Evil" not in reply.headers


MALFORMED: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", "its body is not JSON"),
    "a list": (b"[]", "its body must be a JSON object"),
    "a number": (b"1", "its body must be a JSON object"),
    "no UTF-8": (b'{"workers": "\xff"}', "its body is not JSON"),
    "NaN": (b'{"workers": NaN}', "its body is not JSON"),
    "deep": (b'{"workers":' + b"[" * 100_000, "its body is not JSON"),
    "another parameter": (b'{"workers": 1, "x": 1}', "it has no parameter 'x'"),
    "another service": (b'{"workers": 1, "service": "zebra"}', "service is in its path already"),
    "another type": (b'{"workers": "2"}', "workers is '2'; it must be an integer"),
    "too many": (b'{"workers": 100000000000000000000}', "it must be an integer from 1 to 1000"),
    "nothing": (b"", "it needs the parameter workers"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_body_is_refused_in_three_lines(server: Server, what: str) -> None:
    body, cause = MALFORMED[what]
    reply = server.post("services/0a/churn/scale", body)
    assert (reply.status, reply.code) == (400, "bad-request") and cause in reply.data["cause"]
    assert reply.data["error"] and reply.data["hint"] and b"Traceback" not in reply.content


def test_another_media_type_is_refused(server: Server) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        reply = server.post("services/0a/churn/scale", b'{"workers": 1}', headers={"Content-Type": kind})
        assert (reply.status, reply.code) == (400, "bad-request"), kind


def test_a_malformed_query_is_refused(server: Server) -> None:
    for query in ("limit=x", "limit=-1", "limit=1&limit=2", "after=1e3", "x=1", "level=fatal", "limit=%00", "all=1"):
        reply = server.get(f"services/0a/churn/log?{query}")
        assert (reply.status, reply.code) == (400, "bad-request"), query
    assert server.get("services?all=yes").code == "bad-request"


def test_a_body_is_limited(server: Server) -> None:
    """By what its head says: the body need not be sent for that."""
    for method, path, size in (
        ("POST", "services/0a/churn/scale", 1_000_001),
        ("POST", "stream", 1_000_001),
        ("POST", "services/0a/churn/score", 70_000_001),
        ("DELETE", "services/0a/churn?confirm=churn", 10**30),
        ("GET", "services", 1_000_001),
    ):
        reply = server.send(method, path, b"" if method == "POST" else None, headers={"Content-Length": str(size)})
        assert (path, reply.status, reply.code) == (path, 413, "too-large")
    large = json.dumps({"body": {"json": "x" * 2_000_000}}).encode()  # a test's may be larger: the service is missing
    assert server.post("services/0a/churn/score", large).code == "not-found"


def test_a_body_in_pieces_without_an_end_is_cut_off(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as sender:
        head = f"POST {server.api('services/0a/churn/scale')} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        head += f"Authorization: token {server.token}\r\nTransfer-Encoding: chunked\r\n\r\n"
        sender.sendall(head.encode())
        sent, piece = 0, b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        with pytest.raises(OSError):
            while sent < 500_000_000:
                sender.sendall(piece)
                sent += len(piece)
        assert sent < 30_000_000


def test_no_answer_is_kept_or_taken_for_something_else(server: Server) -> None:
    for path in ("services?all=true", "services/0a/churn", "openapi.json", "nothing", "services/../x"):
        for token in (None, ""):
            headers = server.get(path, token=token).headers
            assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Content-Type"].partition(";")[0] == "application/json"


def test_text_in_an_answer_stays_text(server: Server) -> None:
    reply = server.get("services/0a/churn/log?search=%3Cscript%3E&x=%3Cscript%3E")
    assert reply.headers["Content-Type"].startswith("application/json") and reply.code == "bad-request"
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]


class Foreign:
    """A server that is not a service: it counts who connects, and answers with a secret of its own."""

    def __init__(self, host: str) -> None:
        self.socket = socket.create_server((host, 0))
        self.port = self.socket.getsockname()[1]
        self.connected = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            while True:
                connection, _ = self.socket.accept()
                self.connected += 1
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nmetadata")
        except OSError:
            return

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)  # ends the thread, which waits for a connection
        self.socket.close()


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    with closing(Foreign("127.0.0.2")) as found:
        yield found


def test_a_test_request_goes_to_the_service_and_nowhere_else(server: Server, site: Site, foreign: Foreign) -> None:
    """Somebody has changed the service's address in the store, or the service redirects."""
    service = live(site)
    store, where = site.ws.folder.open_store(), f"services/{site.ws.folder.id}/svc"
    body = {"body": {"json": '{"data": 1}'}}
    answer = server.post(f"{where}/score", body)
    assert answer.status == 200 and answer.data["status"] == 200, answer.data
    endpoint = service.record.endpoint
    for uri in (
        f"http://127.0.0.2:{foreign.port}/score",
        f"http://127.0.0.2:{endpoint['port']}/score",
        f"https://127.0.0.2:{foreign.port}/score",
        "http://169.254.169.254/latest/meta-data",
        f"http://127.0.0.1@127.0.0.2:{foreign.port}/score",
        f"http://127.0.0.1:{server.port}{server.api('services')}",
        "file:///etc/passwd",
    ):
        store.update_service("svc", endpoint={**endpoint, "scoring_uri": uri})
        for name in ("score", "code", "openapi", "samples"):
            time_before = time.monotonic()
            method = "POST" if name in ("score", "code") else "GET"
            reply = server.send(method, f"{where}/{name}", body if method == "POST" else None)
            assert b"metadata" not in reply.content and b"root:" not in reply.content
            assert reply.status != 200 or name in ("code", "samples") or reply.data.get("status") != 200, (uri, name)
            assert time.monotonic() - time_before < 60
    assert foreign.connected == 0
    store.update_service("svc", endpoint=endpoint)
    assert server.post(f"{where}/score", body).data["status"] == 200


REDIRECTS = """
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse

def init():
    pass

@rawhttp
def run(request):
    response = AMLResponse("", 307)
    response.headers["Location"] = "http://127.0.0.2:{port}/"
    return response
"""


def test_a_redirect_is_shown_and_not_followed(server: Server, site: Site, foreign: Foreign) -> None:
    site.write(REDIRECTS.format(port=foreign.port))
    live(site)
    reply = server.post(f"services/{site.ws.folder.id}/svc/score", {"body": {"json": "1"}})
    assert reply.data["status"] == 307 and foreign.connected == 0
    assert ["location", f"http://127.0.0.2:{foreign.port}/"] in reply.data["headers"]


def test_only_services_in_the_store_of_a_known_workspace_can_be_named(
    server: Server, start_server: StartServer, tmp_path: Path
) -> None:
    known, other = (Workspace.create(path=tmp_path / name).folder for name in ("known", "other"))
    for folder in (known, other):
        folder.open_store().save_service(ServiceRecord("churn", workspace_id=folder.id, state="Failed"))
    assert server.get(f"services/{other.id}/churn").status == 200
    assert server.get(f"services/{other.id}/zebra").code == "not-found"
    narrow = start_server(f"--MldeployApp.workspaces={known.root.parent}")
    assert narrow.get(f"services/{known.id}/churn").status == 200
    assert narrow.get(f"services/{other.id}/churn").code == "not-found"
    assert [row["workspace"] for row in narrow.get("services?all=true").data] == [known.id]
