"""Routes, status codes, headers and results, from a real service of each kind of script."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openapi_spec_validator
import pytest
import requests

from tests.integration.serving.supervised import KEY, WAIT, Supervised
from tests.polling import wait_until

TYPED = """
    import json, os, sys, time
    import numpy as np
    from inference_schema.schema_decorators import input_schema, output_schema
    from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
    from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType

    def init(): pass

    @input_schema("data", NumpyParameterType(np.array([[1, 2, 3]])))
    @input_schema("mode", StandardPythonParameterType("sum"))
    @output_schema(NumpyParameterType(np.array([1.5])))
    def run(data, mode="sum"):
        if mode == "raise": raise ValueError("secret detail")
        if mode == "exit": sys.exit(3)
        if mode == "nan": return {"scores": [1.0, float("nan")]}
        if mode == "function": return [1, len]
        if mode == "generator": return {"a": (n for n in [1])}
        if mode == "array": return data.sum(axis=1)
        if mode == "scalar": return data.sum()
        if mode == "none": return None
        if mode == "tuple": return data.shape, 500
        if mode == "string": return json.dumps([1])
        if mode == "slow": time.sleep(0.4)
        if mode == "wait": WAIT
        return data.sum(axis=1).tolist()
""".replace("WAIT", WAIT)
RAW = """
    from azureml.contrib.services.aml_request import AMLRequest, rawhttp
    from azureml.contrib.services.aml_response import AMLResponse
    def init(): pass
    @rawhttp
    def run(request):
        if request.method == "GET": return AMLResponse(request.args["q"], 200)
        if request.method == "OPTIONS": return AMLResponse("", 200, {"Allow": "GET,POST"})
        if request.data == b"teapot":
            return AMLResponse({"short": True}, 418, {"X-Kind": "a,b"}, json_str=True)
        if request.data == b"broken": return AMLResponse("sorry", 503)
        return AMLResponse(request.data[::-1], 200)
"""
GOOD = {"data": [[1, 2, 3], [4, 5, 6]]}


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    service = Supervised(tmp_path_factory.mktemp("typed")).start()
    answer = service.deploy(TYPED, max_body_bytes=100_000, title="Sums", revision_label="1-abc")
    assert answer["ok"], answer
    assert answer["sample_scored"] and answer["openapi_ok"]
    assert answer["warnings"] == [
        "the sample of 'data' has only whole numbers: floats like 1.7 will be refused with 422"
    ]
    yield service
    service.end()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    service = Supervised(tmp_path_factory.mktemp("raw")).start()
    assert service.deploy(RAW, cors_origins=["https://app.example"])["ok"]
    yield service
    service.end()


def ask(service: Supervised, method: str, path: str, body: Any = None, **headers: str) -> requests.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    if isinstance(body, (dict, list, int)):
        body, names = json.dumps(body), {"content-type": "application/json", **names}
    return requests.request(method, service.url + path, data=body, headers={**KEY, **names}, timeout=60)


JSON = {"content_type": "application/json"}
# (what, method, path, body, headers) -> (status, error code, where)
TABLE = [
    ("good rows", "POST", "/score", GOOD, {}, 200, None, None),
    (
        "a charset",
        "POST",
        "/score",
        '{"data": [[1,2,3]]}',
        {"content_type": "application/json; charset=utf-8"},
        200,
        None,
        None,
    ),
    ("an extra key", "POST", "/score", {**GOOD, "more": 1}, {}, 200, None, None),
    ("malformed JSON", "POST", "/score", '{"data": [1,,2]}', JSON, 400, "bad-json", "line 1 column 13 (char 12)"),
    ("NaN in JSON", "POST", "/score", '{"data": [[NaN,1,2]]}', JSON, 400, "bad-json", "line 1 column 12 (char 11)"),
    ("an empty body", "POST", "/score", "", JSON, 400, "empty-body", ""),
    ("a list on top", "POST", "/score", [[1, 2, 3]], {}, 422, "not-an-object", ""),
    ("a missing key", "POST", "/score", {"date": []}, {}, 422, "missing-parameter", "data"),
    ("no content type", "POST", "/score", b"{}", {}, 415, "wrong-content-type", "content-type"),
    (
        "a wrong content type",
        "POST",
        "/score",
        "{}",
        {"content_type": "text/plain"},
        415,
        "wrong-content-type",
        "content-type",
    ),
    ("a wrong width", "POST", "/score", {"data": [[1, 2, 3], [4, 5]]}, {}, 422, "does-not-fit", "data[1]"),
    ("one dimension", "POST", "/score", {"data": [1, 2, 3]}, {}, 422, "does-not-fit", "data[0]"),
    ("one dimension too many", "POST", "/score", {"data": [[[1, 2, 3]] * 3]}, {}, 422, "does-not-fit", "data[0][0]"),
    ("a string", "POST", "/score", {"data": [[1, "2", 3]]}, {}, 422, "does-not-fit", "data[0][1]"),
    ("an object", "POST", "/score", {"data": {"a": 1}}, {}, 422, "does-not-fit", "data"),
    ("no rows", "POST", "/score", {"data": []}, {}, 422, "does-not-fit", "data"),
    ("null", "POST", "/score", {"data": [[None, 2, 3]]}, {}, 422, "does-not-fit", "data[0][0]"),
    (
        "a fraction for an integer",
        "POST",
        "/score",
        {"data": [[1, 2, 3], [1, 2, 1.7]]},
        {},
        422,
        "does-not-fit",
        "data[1][2]",
    ),
    ("a failing run", "POST", "/score", {**GOOD, "mode": "raise"}, {}, 500, "script-failed", "run()"),
    ("sys.exit in run", "POST", "/score", {**GOOD, "mode": "exit"}, {}, 500, "script-failed", "run()"),
    ("NaN in the result", "POST", "/score", {**GOOD, "mode": "nan"}, {}, 500, "output-not-json", "scores[1]"),
    ("a function in the result", "POST", "/score", {**GOOD, "mode": "function"}, {}, 500, "output-not-json", "[1]"),
    ("a generator in the result", "POST", "/score", {**GOOD, "mode": "generator"}, {}, 500, "output-not-json", "a"),
    ("a large body", "POST", "/score", b" " * 100_001, JSON, 413, "too-large", "body"),
    ("a long id", "POST", "/score", GOOD, {"x_request_id": "x" * 101}, 431, "id-too-long", "x-request-id"),
    ("large headers", "GET", "/", None, {"x_large": "x" * 70_000}, 431, "headers-too-large", ""),
    ("GET of /score", "GET", "/score", None, {}, 405, "method-not-allowed", "method"),
    ("PUT of /score", "PUT", "/score", GOOD, {}, 405, "method-not-allowed", "method"),
    ("POST of /", "POST", "/", GOOD, {}, 405, "method-not-allowed", "method"),
    ("a wrong key", "POST", "/score", GOOD, {"authorization": "Bearer x"}, 401, "unauthorised", "authorization"),
    (
        "another scheme",
        "POST",
        "/score",
        GOOD,
        {"authorization": "Basic first-key"},
        401,
        "unauthorised",
        "authorization",
    ),
    (
        "a key for the description",
        "GET",
        "/swagger.json",
        None,
        {"authorization": ""},
        401,
        "unauthorised",
        "authorization",
    ),
    ("a slash too many", "POST", "/score/", GOOD, {}, 404, "not-found", "/score/"),
    ("an unknown path", "GET", "/admin", None, {}, 404, "not-found", "/admin"),
    ("an unknown version", "GET", "/swagger.json?version=9", None, {}, 404, "not-found", "version"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "code", "where"), [r[1:] for r in TABLE], ids=[r[0] for r in TABLE]
)
def test_every_request_has_its_status_code_and_place(
    typed: Supervised,
    method: str,
    path: str,
    body: Any,
    headers: dict,
    status: int,
    code: str | None,
    where: str | None,
) -> None:
    response = ask(typed, method, path, body, **headers)
    assert response.status_code == status, response.text
    assert response.headers["x-mldeploy-revision"] == "1-abc"
    assert len(response.headers["x-ms-request-id"]) == 36
    if code is None:
        assert response.headers["x-ms-run-function-failed"] == "false"
        return
    answer = response.json()
    assert response.headers["content-type"] == "application/json"
    assert (answer["error"]["code"], answer["error"]["where"]) == (code, where)
    assert answer["message"] and "hint" in answer["error"]
    assert "secret detail" not in response.text and "Traceback" not in response.text
    if path == "/score":
        script_is_at_fault = code in ("script-failed", "output-not-json")
        assert response.headers["x-ms-run-function-failed"] == ("true" if script_is_at_fault else "false")
    if status == 405:
        assert set(response.headers["allow"].split(", ")) == (
            {"POST", "OPTIONS"} if path == "/score" else {"GET", "HEAD"}
        )


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("sum", [6, 15]), ("array", [6, 15]), ("scalar", 21), ("none", {}), ("tuple", [[2, 3], 500]), ("string", "[1]")],
)
def test_results_follow_the_rules_of_v1(typed: Supervised, mode: str, expected: Any) -> None:
    response = ask(typed, "POST", "/score", {**GOOD, "mode": mode})
    assert (response.status_code, response.json()) == (200, expected)


def test_a_returned_json_string_is_noted_once_in_the_log(typed: Supervised) -> None:
    for _ in range(3):
        ask(typed, "POST", "/score", {**GOOD, "mode": "string"})
    assert typed.log.count("returned a JSON string, which is encoded twice") == 1


def test_answers_have_server_timings(typed: Supervised) -> None:
    response = ask(typed, "POST", "/score", {**GOOD, "mode": "slow"})
    assert 400 <= float(response.headers["x-ms-run-fn-exec-ms"]) < response.elapsed.total_seconds() * 1000
    parts = dict(re.findall(r"(\w+);dur=([\d.]+)", response.headers["server-timing"]))
    assert list(parts) == ["queue", "parse", "run", "serialise"]
    assert float(parts["run"]) >= 400


def test_request_ids_are_kept_and_written_in_the_log(typed: Supervised) -> None:
    response = ask(typed, "POST", "/score", {**GOOD, "mode": "raise"}, x_ms_request_id="caller-7")
    assert response.headers["x-ms-request-id"] == response.headers["x-ms-client-request-id"] == "caller-7"
    wait_until(lambda: "[caller-7] POST /score 500" in typed.log)
    assert "[caller-7] run() raised ValueError: secret detail" in typed.log
    assert "[caller-7] Traceback (most recent call last):" in typed.log  # every line can be found by its request
    response = ask(typed, "POST", "/score", GOOD, x_ms_client_request_id="theirs")
    assert response.headers["x-ms-client-request-id"] == "theirs"


def test_liveness_readiness_and_metrics_need_no_key(typed: Supervised) -> None:
    assert requests.get(typed.url, timeout=60).text == "Healthy"
    assert requests.get(f"{typed.url}/ready", timeout=60).json() == {"status": "ready"}
    head = requests.head(typed.url, timeout=60)
    assert (head.status_code, head.text) == (200, "")
    ask(typed, "POST", "/score", GOOD)
    text = requests.get(f"{typed.url}/metrics", timeout=60).text
    counted = re.search(r'mldeploy_requests_total\{service="t",code="200"\} (\d+)', text)
    assert counted and int(counted[1]) > 0
    count = int(re.search(r"mldeploy_request_seconds_count\{.*\} (\d+)", text)[1])
    assert f'le="+Inf"}} {count}' in text
    assert re.search(r"mldeploy_worker_ready\{.*\} 1", text)


@pytest.mark.parametrize(
    ("query", "version"), [("", "3.1.0"), ("?version=3", "3.0.3"), ("?version=3.1", "3.1.0"), ("?version=2", "2.0")]
)
def test_the_description_is_valid_and_has_the_samples(typed: Supervised, query: str, version: str) -> None:
    document = ask(typed, "GET", f"/swagger.json{query}").json()
    assert document.get("openapi", document.get("swagger")) == version
    assert document["info"]["title"] == "Sums"
    openapi_spec_validator.validate(document)
    assert '"data":[[1,2,3]]' in json.dumps(document, separators=(",", ":"))


def test_liveness_answers_while_run_works(typed: Supervised) -> None:
    with ThreadPoolExecutor(1) as pool:
        scoring = pool.submit(ask, typed, "POST", "/score", {**GOOD, "mode": "wait"})
        wait_until(lambda: typed.in_flight() == 1)
        times = []
        for _ in range(20):
            began = time.perf_counter()
            assert requests.get(typed.url, timeout=60).status_code == 200
            times.append(time.perf_counter() - began)
        assert not scoring.done()
        typed.open_gate()
        assert scoring.result().status_code == 200
    assert min(times) < 0.1


def test_input_that_is_not_http_gets_400_as_json(typed: Supervised) -> None:
    with socket.create_connection(("127.0.0.1", typed.facts["port"]), timeout=60) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "bad-request"


def test_a_chunked_body_is_limited_too(typed: Supervised) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 10_000

    response = requests.post(
        f"{typed.url}/score", data=chunks(), headers={**KEY, "content-type": "application/json"}, timeout=20
    )
    assert response.status_code == 413


def test_a_raw_script_gets_the_request_and_makes_the_answer(raw: Supervised) -> None:
    assert ask(raw, "POST", "/score", b"\x00\xffabc").content == b"cba\xff\x00"
    assert ask(raw, "GET", "/score?q=hello%20you").text == "hello you"
    response = ask(raw, "POST", "/score", b"teapot")
    assert (response.status_code, response.json(), response.headers["x-kind"]) == (418, {"short": True}, "a, b")
    assert response.headers["x-ms-run-function-failed"] == "false"
    response = ask(raw, "POST", "/score", b"broken")
    assert (response.status_code, response.headers["x-ms-run-function-failed"]) == (503, "true")
    assert ask(raw, "OPTIONS", "/score").status_code in (200, 204)


def test_only_named_origins_get_cors_headers(raw: Supervised) -> None:
    preflight = {"access_control_request_method": "POST"}
    named = requests.options(
        f"{raw.url}/score",
        headers={"Origin": "https://app.example", "Access-Control-Request-Method": "POST"},
        timeout=60,
    )
    assert named.status_code == 204
    assert named.headers["access-control-allow-origin"] == "https://app.example"
    assert "authorization" in named.headers["access-control-allow-headers"]
    other = ask(raw, "OPTIONS", "/score", None, origin="https://evil.example", **preflight)
    assert "access-control-allow-origin" not in other.headers
    scored = ask(raw, "POST", "/score", b"x", origin="https://app.example")
    assert scored.headers["access-control-allow-origin"] == "https://app.example"


def test_an_undecorated_script_gets_the_body_as_text_and_headers_when_it_asks(shared: Supervised) -> None:
    assert shared.deploy("""
        def init(): pass
        def run(body, request_headers):
            return [body, request_headers["Content-Type"], request_headers.get("x-mine")]
    """)["ok"]
    response = ask(shared, "POST", "/score", "grüße".encode(), content_type="text/plain", x_mine="7")
    assert response.json() == ["grüße", "text/plain", "7"]
    assert ask(shared, "POST", "/score", b"\xff\xfe").json()["error"]["code"] == "not-utf8"
    response = ask(shared, "POST", "/score", b"a=1", content_type="application/x-www-form-urlencoded")
    assert (response.status_code, response.json()["error"]["code"]) == (415, "wrong-content-type")


def test_an_async_run_is_awaited_and_many_run_at_once(shared: Supervised) -> None:
    assert shared.deploy("""
        import asyncio, json
        def init():
            global running, together
            running, together = 0, asyncio.Event()
        async def run(data):
            global running
            if data == '"raise"': raise ValueError("no")
            running += 1
            if running == 8: together.set()
            await together.wait()
            return json.loads(data)
    """)["ok"]
    with ThreadPoolExecutor(8) as pool:
        assert [r.json() for r in pool.map(shared.score, range(8))] == list(range(8))
    assert shared.score("raise").status_code == 500


def test_a_run_that_passes_its_deadline_is_504_and_its_worker_is_replaced(supervised: Supervised) -> None:
    supervised.deploy(
        """
        import json, time
        def init(): pass
        def run(data):
            seconds = json.loads(data)
            while seconds > 10:  # forever
                try:
                    time.sleep(seconds)
                except:
                    pass
            try:
                time.sleep(seconds)
            except Exception:
                pass
            return 1
        """,
        scoring_timeout_ms=1000,
        drain_timeout=1,
    )
    worker = supervised.pids()
    response = supervised.score(9)  # the deadline ends the sleep, `except Exception` or not: the worker stays
    assert (response.status_code, response.json()["error"]["code"]) == (504, "run-timeout")
    assert response.headers["x-ms-run-function-failed"] == "true"
    wait_until(lambda: supervised.score(0).status_code == 200)
    assert supervised.pids() == worker
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(supervised.score, 30)
        metrics = f"{supervised.url}/metrics"
        in_hand = re.compile(r"^mldeploy_requests_in_flight\S* 1$", re.MULTILINE)
        wait_until(lambda: in_hand.search(requests.get(metrics, timeout=60).text), what="the hung request")
        waited = supervised.score(0)  # behind the one that hangs: it is told so, and need not wait for its end
        assert hung.result().status_code == 504
    assert (waited.status_code, waited.json()["error"]["code"]) == (503, "worker-stuck")
    assert waited.headers["retry-after"] == "1"
    wait_until(lambda: (p := supervised.pids()) and p != worker, what="another worker")
    assert supervised.score(0).status_code == 200
    wait_until(lambda: len(supervised.ask("status")["workers"]) == 1, what="the stuck worker's end")


def test_too_many_waiting_requests_are_refused_with_retry_after(supervised: Supervised) -> None:
    waits = f"import os, time\ndef init(): pass\ndef run(data): {WAIT}\n"
    supervised.deploy(waits, max_queue=2, max_queue_wait_ms=2000)
    with ThreadPoolExecutor(8) as pool:
        running = pool.submit(supervised.score)
        wait_until(lambda: supervised.in_flight() == 1)
        refused = list(pool.map(supervised.score, range(7)))
        supervised.open_gate()
        assert running.result().status_code == 200
    assert {answer.status_code for answer in refused} == {429, 503}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}


def test_debug_puts_the_traceback_into_the_answer(shared: Supervised) -> None:
    assert shared.deploy("def init(): pass\ndef run(data): return 1 / 0\n", debug=True)["ok"]
    traceback = shared.score().json()["error"]["traceback"]
    assert traceback.endswith("ZeroDivisionError: division by zero") and "score.py" in traceback
    assert "scoring.py" not in traceback


def test_init_and_run_have_the_same_thread_and_the_main_one(shared: Supervised) -> None:
    assert shared.deploy("""
        import sqlite3, threading
        def init():
            global db
            db = sqlite3.connect(":memory:")  # usable by its own thread only
        def run(data):
            assert threading.current_thread() is threading.main_thread()
            return db.execute("select 7").fetchone()[0]
    """)["ok"]
    assert shared.score().json() == 7


def test_the_environment_variables_of_v1_are_set(shared: Supervised) -> None:
    settings = {"model_dir": "/models/m/1", "source_directory": "", "env": {"MINE": "yes"}}
    assert shared.deploy("""
        import os
        def init(): pass
        def run(data):
            names = ["AZUREML_MODEL_DIR", "AZUREML_ENTRY_SCRIPT", "AML_APP_ROOT", "MINE"]
            return [os.environ.get(n) for n in names] + [os.getcwd()]
    """, **settings)["ok"]  # fmt: skip
    model, script, root, mine, cwd = shared.score().json()
    assert (model, script, mine) == ("/models/m/1", "score.py", "yes")
    assert root == cwd


def test_without_auth_no_key_is_needed(shared: Supervised) -> None:
    assert shared.deploy(auth_enabled=False)["ok"]
    assert shared.score(5, headers={}).json() == 5


def test_max_concurrent_makes_several_calls_at_once(shared: Supervised) -> None:
    source = "import threading\nall_four = threading.Barrier(4)\ndef init(): pass\ndef run(data): all_four.wait()\n"
    assert shared.deploy(source, max_concurrent=4)["ok"]
    with ThreadPoolExecutor(4) as pool:
        assert {r.status_code for r in pool.map(shared.score, range(4))} == {200}


def test_logging_set_up_by_the_script_shows_each_request_once(shared: Supervised) -> None:
    source = "import logging\nlogging.basicConfig(level=logging.INFO)\ndef init(): pass\ndef run(data): return 1\n"
    assert shared.deploy(source)["ok"]
    identity = "one-line-only"
    shared.score(headers={**KEY, "x-request-id": identity})
    wait_until(lambda: f"[{identity}] POST /score 200" in shared.log)
    assert "POST /score HTTP" not in shared.log


def test_half_a_request_does_not_delay_a_stop(supervised: Supervised) -> None:
    supervised.deploy(drain_timeout=600)  # seconds; `ask` waits for one minute
    with socket.create_connection(("127.0.0.1", supervised.facts["port"]), timeout=60) as connection:
        connection.sendall(b"POST /sc")
        supervised.score()
        assert supervised.ask("stop") == {"ok": True}
