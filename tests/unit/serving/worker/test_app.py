"""The routes, the ids of requests, and the limits of bodies."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace

import pytest

from mldeploy_jupyter.serving.azureml.http_contract import HttpContract
from mldeploy_jupyter.serving.http.exchange import Exchange
from mldeploy_jupyter.serving.worker import app
from tests.fuzz.wire import MAX_BODY, Bench, answers


def ask(bench: Bench, line: str, headers: str = "", body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """One request (`GET /`) and its answer."""
    bench.feed(f"{line} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body)
    bench.finish()
    sent = bytes(bench.socket.sent)
    bench.socket.sent.clear()
    return answers(sent, [line.split()[0]])[0]


def exchange(**headers: str) -> Exchange:
    made = Exchange(None, 0.0)  # type: ignore[arg-type]
    made.headers = {name.replace("_", "-"): text for name, text in headers.items()}
    return made


@pytest.fixture
def bench() -> Bench:
    return Bench(auth_enabled=True)


def test_ids_of_the_servers_own_are_uuids_and_differ(bench: Bench) -> None:
    ids = []
    for _ in range(600):
        one = exchange()
        assert bench.app.assign_request_id(one) is None
        assert one.id_headers == b"x-request-id: %b\r\nx-ms-request-id: %b\r\n" % (one.id.encode(), one.id.encode())
        ids.append(uuid.UUID(one.id))
    assert len(set(ids)) == 600 and {(one.version, one.variant) for one in ids} == {(4, uuid.RFC_4122)}
    assert [int(one.id[-8:], 16) for one in (exchange_with_id(bench), exchange_with_id(bench))] == [601, 602]


def exchange_with_id(bench: Bench) -> Exchange:
    one = exchange()
    bench.app.generate_request_id(one)
    return one


@pytest.mark.parametrize(
    ("headers", "request_id", "client_id"),
    [
        ({"x_ms_request_id": "r", "x_ms_client_request_id": "c"}, "r", "c"),
        ({"x_ms_client_request_id": "c"}, "c", "c"),
        ({"x_ms_request_id": "r"}, "r", "r"),
        ({"x_request_id": "x"}, "x", ""),
    ],
)
def test_a_clients_ids_are_kept_as_in_v1(bench: Bench, headers: dict, request_id: str, client_id: str) -> None:
    one = exchange(**headers)
    assert bench.app.assign_request_id(one) is None and one.id == request_id
    told = f"x-request-id: {request_id}\r\nx-ms-request-id: {request_id}\r\n" + (
        f"x-ms-client-request-id: {client_id}\r\n" if client_id else ""
    )
    assert one.id_headers == told.encode()


def test_a_trace_id_is_returned_beside_an_id_of_the_servers_own(bench: Bench) -> None:
    one = exchange(traceid="t")
    assert bench.app.assign_request_id(one) is None and uuid.UUID(one.id)
    assert one.id_headers.endswith(b"traceid: t\r\n") and b"x-ms-client-request-id" not in one.id_headers


def test_an_id_that_is_too_long_is_refused_under_an_id_of_the_servers_own(bench: Bench) -> None:
    one = exchange(x_request_id="x" * (app.MAX_ID + 1))
    refusal = bench.app.assign_request_id(one)
    assert refusal is not None and refusal.status == 431 and uuid.UUID(one.id)


def test_a_body_is_refused_by_its_size_or_by_the_size_of_all(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.app, "max_buffered", 2 * MAX_BODY)
    check = bench.app.check_body_size
    assert check(MAX_BODY, 0) is None and check(MAX_BODY, MAX_BODY) is None and check(0, 10 * MAX_BODY) is None
    too_large, overloaded = check(MAX_BODY + 1, 0), check(MAX_BODY, MAX_BODY + 1)
    assert too_large is not None and too_large.status == 413
    assert overloaded is not None and overloaded.status == 503 and (b"retry-after", b"1") in overloaded.headers


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET /", 200),
        ("HEAD /ready", 200),
        ("GET /metrics", 200),
        ("POST /ready", 405),
        ("GET /other", 404),
        ("GET /swagger.json", 401),
        ("POST /score", 401),
    ],
)
def test_only_probes_and_metrics_are_open(bench: Bench, line: str, status: int) -> None:
    assert ask(bench, line)[0] == status
    bench.end()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("POST /invocations", 401),  # as /score is
        ("GET /invocations", 401),
        ("GET /ping", 200),
        ("GET /version", 401),
        ("POST /ping", 405),
        ("GET /invocations/", 404),
    ],
)
def test_a_contract_has_paths_of_its_own(line: str, status: int) -> None:
    bench = Bench(auth_enabled=True)
    contract = HttpContract("any", {}, {}, None, ("/invocations",), ("/ping",), {"/version": b"3"})
    assert bench.app.scorer is not None
    bench.app.scorer.script = replace(bench.app.scorer.script, mode="raw", contract=contract)
    bench.app.set_phase("ready")
    assert ask(bench, line)[0] == status
    bench.end()


def test_before_it_is_ready_the_phase_is_told_and_liveness_answers(bench: Bench) -> None:
    bench.app.auth.set_keys({"primaryKey": "key"})
    bench.app.set_phase("init")
    status, headers, body = ask(bench, "POST /score", "authorization: Bearer key\r\n", b"x")
    assert (status, headers["retry-after"]) == (503, "1") and "init() is running" in json.loads(body)["message"]
    assert ask(bench, "GET /ready")[0] == 503 and ask(bench, "GET /")[0] == 200
    bench.end()


def test_readiness_is_for_a_service_that_takes_requests_and_the_supervisor_asks_earlier(bench: Bench) -> None:
    bench.app.in_service = False  # not probed yet, or about to stop
    status, headers, body = ask(bench, "GET /ready")
    assert (status, headers["retry-after"]) == (503, "1") and json.loads(body)["error"]["code"] == "not-in-service"
    assert ask(bench, "GET /")[0] == 200
    bench.connection.private = True
    assert ask(bench, "GET /ready")[0] == 200
    bench.end()


def test_a_defect_is_answered_with_500_and_the_connection_goes_on(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.app.auth.set_keys({"primaryKey": "key"})
    submit, bench.app.queue.submit = bench.app.queue.submit, None  # type: ignore[assignment,method-assign]
    status, _, body = ask(bench, "POST /score", "authorization: Bearer key\r\n", b"x")
    assert status == 500 and json.loads(body)["error"]["code"] == "server-failed"
    assert "internal error of the server: TypeError" in capsys.readouterr().err
    bench.app.queue.submit = submit  # type: ignore[method-assign]
    assert ask(bench, "POST /score", "authorization: Bearer key\r\n", b"x")[2] == b":x"
    bench.end()


def test_a_slash_behind_score_is_named(bench: Bench) -> None:
    for path, hint in (("/score/", "without a trailing slash."), ("/none", "The service answers at /score.")):
        status, _, body = ask(bench, f"POST {path}")
        assert status == 404 and json.loads(body)["error"]["hint"].endswith(hint)


@pytest.mark.parametrize(
    ("limit", "size"), [(100 << 20, "100 MB"), (3 << 19, "1.5 MB"), (1000, "1000 bytes"), (10**9, "953.7 MB")]
)
def test_a_body_that_is_too_large_names_the_limit_and_its_setting(limit: int, size: str) -> None:
    bench = Bench(max_body_bytes=limit)
    response = bench.app.check_body_size(limit + 1, 0)
    assert response is not None and response.status == 413
    content = json.loads(response.body)
    assert content["message"] == f"the body is larger than {size}" and "max_request_body_mb" in content["error"]["hint"]
    bench.end()
