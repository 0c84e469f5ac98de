"""The address that `Webservice.run` calls is looked up as seldom as possible."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from mldeploy_jupyter.api.webservices import deployments
from mldeploy_jupyter.api.webservices.scoring import ServiceCaller
from mldeploy_jupyter.api.webservices.waiting import STATUS_CHECK_SECONDS
from mldeploy_jupyter.core.errors import ScoringError
from mldeploy_jupyter.core.scoring_client import NothingSent


class Echo(BaseHTTPRequestHandler):
    """Answers with the body and the credential."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        answer = json.dumps([json.loads(body), self.headers.get("authorization")]).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def uri() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/score"
    server.shutdown()
    server.server_close()


class Lookup:
    """Counts how often the address was asked for; tells the time."""

    def __init__(self, uri: str) -> None:
        self.uri, self.calls, self.seconds = uri, 0, 0.0

    def find(self) -> str:
        self.calls += 1
        return self.uri

    def caller(self) -> ServiceCaller:
        return ServiceCaller(self.find, lambda: "key", clock=lambda: self.seconds)


def test_calls_in_quick_succession_look_the_address_up_once(uri: str) -> None:
    lookup = Lookup(uri)
    caller = lookup.caller()
    assert [caller.run(n) for n in range(3)] == [[n, "Bearer key"] for n in range(3)]
    assert lookup.calls == 1
    lookup.seconds = STATUS_CHECK_SECONDS + 0.1
    caller.run(3)
    assert lookup.calls == 2
    caller.close()


def test_a_deployment_of_this_process_makes_the_next_call_look_again(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "begun", [])
    lookup = Lookup(uri)
    caller = lookup.caller()
    caller.run(0)
    deployments.begun.append("d1")
    caller.run(1)
    assert lookup.calls == 2
    caller.close()


def test_a_call_without_an_answer_makes_the_next_one_look_again(uri: str) -> None:
    lookup = Lookup("http://127.0.0.1:9/score")  # the discard port: nothing listens
    caller = lookup.caller()
    with pytest.raises(ScoringError):
        caller.run(0)
    lookup.uri = uri
    assert caller.run(1) == [1, "Bearer key"]
    assert lookup.calls == 2
    caller.close()


def test_a_service_that_moved_is_found_again_before_the_call_fails(uri: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        stale = f"http://127.0.0.1:{stranger.getsockname()[1]}/score"
        lookup = Lookup(stale)
        caller = ServiceCaller(lookup.find, lambda: "key", lambda asked: "" if asked == uri else "another program")
        with pytest.raises(NothingSent):
            caller.run(0)
        assert lookup.calls == 2
        lookup.uri = stale
        caller._current_client()
        lookup.uri = uri
        assert caller.run(1) == [1, "Bearer key"]
        caller.close()
