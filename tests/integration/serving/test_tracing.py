"""Spans of a real worker, sent to a real receiver of OTLP over HTTP."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from mldeploy_jupyter import serving
from tests.integration.serving.supervised import KEY, WAIT, Supervised
from tests.polling import wait_until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SCRIPT = """
    from opentelemetry import trace
    tracer = trace.get_tracer("score")
    def init(): pass
    def run(data):
        with tracer.start_as_current_span("predict"):
            if "boom" in data: raise ValueError("boom")
            return 1
"""


class Receiver:
    """Keeps the spans that are sent to it, as plain data by name of the span."""

    def __init__(self, status: int = 200) -> None:
        self.spans: list[dict[str, Any]] = []
        self.requests = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.requests += 1
                if status == 200:
                    receiver.keep(ExportTraceServiceRequest.FromString(body))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def keep(self, message: Any) -> None:
        for resource in message.resource_spans:
            about = {item.key: item.value.string_value for item in resource.resource.attributes}
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                values = {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}
                self.spans.append(
                    {
                        "name": span.name, "kind": span.kind, "status": span.status.code, "resource": about,
                        "trace": span.trace_id.hex(), "id": span.span_id.hex(), "parent": span.parent_span_id.hex(),
                        "attributes": values, "began": span.start_time_unix_nano, "ended": span.end_time_unix_nano,
                        "events": [event.name for event in span.events],
                    }
                )  # fmt: skip

    def of(self, request_id: str) -> dict[str, Any]:
        server = next(s for s in self.spans if s["attributes"].get("mldeploy.request_id") == request_id)
        return {"server": server, **{s["name"]: s for s in self.spans if s["parent"] == server["id"]}}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def otel(endpoint: str) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "60000",  # what arrives was flushed at the end
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
        "NO_PROXY": "*",
    }


@pytest.mark.parametrize("source", [SCRIPT, SCRIPT.replace("def run", "async def run")], ids=["run", "async run"])
def test_a_request_is_a_span_with_children_in_its_clients_trace(
    supervised: Supervised, receiver: Receiver, source: str
) -> None:
    assert supervised.deploy(source, tracing="otlp", revision_label="1-abc", env=otel(receiver.endpoint))["ok"]
    traced = {**KEY, "traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "traced"}
    assert supervised.score(headers=traced).status_code == 200
    unsampled = {**KEY, "traceparent": f"00-{TRACE}-{PARENT}-00", "x-request-id": "unsampled"}
    assert supervised.score(headers=unsampled).status_code == 200
    assert supervised.score(headers={**KEY, "x-request-id": "alone", "traceparent": "00-x-\xff-01"}).status_code == 200
    assert supervised.score("boom", headers={**KEY, "x-request-id": "failed"}).status_code == 500
    supervised.ask("stop")
    wait_until(lambda: len(receiver.spans) == 6 + 6 + 5, what="all spans")

    mine = receiver.of("traced")
    server = mine["server"]
    assert (server["name"], server["kind"], server["trace"], server["parent"]) == ("POST /score", 2, TRACE, PARENT)
    assert server["attributes"] == {
        "http.request.method": "POST", "http.route": "/score", "url.path": "/score", "url.scheme": "http",
        "http.response.status_code": 200, "mldeploy.service": "t", "mldeploy.revision": "1-abc",
        "mldeploy.request_id": "traced", "mldeploy.batch_size": 1,
    }  # fmt: skip
    assert server["resource"]["service.name"] == "t" and server["resource"]["service.version"] == "1-abc"
    assert set(mine) == {"server", "queue", "parse", "run", "serialise", "predict"}
    assert all(span["trace"] == TRACE for span in mine.values())
    assert mine["run"]["began"] <= mine["predict"]["began"] <= mine["predict"]["ended"] <= mine["run"]["ended"]
    assert mine["queue"]["ended"] == mine["parse"]["began"] and mine["parse"]["ended"] == mine["run"]["began"]

    alone = receiver.of("alone")["server"]
    assert alone["parent"] == "" and alone["trace"] != TRACE
    failed = receiver.of("failed")["server"]
    assert (failed["status"], failed["events"]) == (2, ["exception"])
    assert failed["attributes"]["error.type"] == "ValueError"
    assert all(span["attributes"].get("mldeploy.request_id") != "unsampled" for span in receiver.spans)


def test_the_span_of_a_disconnected_client_is_ended_too(supervised: Supervised, receiver: Receiver) -> None:
    slow = f"import os, time\ndef init(): pass\ndef run(data): {WAIT}\n"
    assert supervised.deploy(slow, tracing="otlp", env=otel(receiver.endpoint))["ok"]
    with socket.create_connection(("127.0.0.1", supervised.facts["port"])) as client:
        client.sendall(
            b"POST /score HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer first-key\r\nx-request-id: left\r\n"
            b"content-type: application/json\r\ncontent-length: 1\r\n\r\n1"
        )
        # Reset at its end: one that only closes may still read, and is answered.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        in_hand = re.compile(r"^mldeploy_requests_in_flight\S* 1$", re.MULTILINE)
        wait_until(lambda: in_hand.search(requests.get(f"{supervised.url}/metrics", timeout=60).text), what="in hand")
    wait_until(lambda: supervised.in_flight() == 0, what="its end to be seen")
    supervised.open_gate()
    assert supervised.score(headers={**KEY, "x-request-id": "stayed"}).status_code == 200
    supervised.ask("stop")
    wait_until(lambda: len(receiver.spans) >= 6, what="all spans")
    left = receiver.of("left")["server"]
    assert left["attributes"]["error.type"] == "client-left" and "http.response.status_code" not in left["attributes"]
    assert receiver.of("stayed")["server"]["attributes"]["http.response.status_code"] == 200


def test_a_failing_exporter_fails_no_request(supervised: Supervised) -> None:
    receiver = Receiver(status=400)
    env = {**otel(receiver.endpoint), "OTEL_BSP_SCHEDULE_DELAY": "10"}
    try:
        assert supervised.deploy(SCRIPT, tracing="otlp", env=env)["ok"]
        for _ in range(20):
            assert supervised.score().status_code == 200
        wait_until(lambda: receiver.requests)
        wait_until(lambda: "Failed to export" in supervised.log, what="the exporter's complaint in the log")
    finally:
        receiver.close()
    assert supervised.score().status_code == 200


def test_spans_on_the_console_are_entries_of_the_log(supervised: Supervised) -> None:
    assert supervised.deploy(SCRIPT, tracing="console", env={"OTEL_BSP_SCHEDULE_DELAY": "10"})["ok"]
    supervised.score(headers={**KEY, "x-request-id": "seen"})
    wait_until(lambda: "[seen] info: trace: POST /score" in supervised.log)


def test_without_the_packages_the_deployment_fails_and_names_them(supervised: Supervised) -> None:
    blocked = supervised.root / "blocked"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry.exporter'] = None\n")
    settings = supervised.settings(SCRIPT, tracing="otlp")
    # The worker's PYTHONPATH is where its server is: this one has a module beside it that hides the packages.
    (blocked / "mldeploy_serving").symlink_to(serving.__path__[0])
    failure = supervised.ask("deploy", settings={**settings, "server_path": str(blocked)}, deployment_id="d")["failure"]
    assert (failure["code"], failure["stage"]) == ("module-missing", "import")
    assert failure["message"].startswith("ModuleNotFoundError: tracing='otlp' needs opentelemetry-sdk")
    assert failure["exception"]["attributes"]["name"] == "opentelemetry.exporter"
