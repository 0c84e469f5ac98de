"""What v1's server answered to recorded requests, and what this one answers to the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from syrupy.assertion import SnapshotAssertion

from tests.integration.serving.supervised import KEY, Supervised
from tests.polling import wait_until

SCRIPT = """
    import os, sys, time
    import numpy as np
    from inference_schema.schema_decorators import input_schema
    from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
    from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType

    def init(): pass

    @input_schema("data", NumpyParameterType(np.array([[1.5, 2.5]])))
    @input_schema("whole", NumpyParameterType(np.array([1])), optional=True)
    @input_schema("do", StandardPythonParameterType("sum"), optional=True)
    def run(data, whole=None, do="sum"):
        if do == "raise": raise ValueError("a secret of the script")
        if do == "exit": sys.exit(3)
        if do == "os._exit": os._exit(3)
        if do == "sleep": time.sleep(30)
        results = {"array": data, "int64": np.int64(7), "bytes": b"x", "set": {1}, "generator": iter([1]),
                   "nan": [1.0, float("nan")], "inf": [float("inf")], "none": None, "text": "a", "tuple": ([1], 500)}
        return results.get(do, data.sum(axis=1).tolist())
"""
ROWS = [[1, 2], [3, 4]]


def body(**more: Any) -> str:
    return json.dumps({"data": ROWS, **more})


JSON = {"content-type": "application/json"}
# what: method, path, headers, body
TABLE: dict[str, tuple[str, str, dict[str, str], Any]] = {
    "good 2-row body": ("POST", "/score", JSON, body()),
    "malformed JSON": ("POST", "/score", JSON, '{"data": [1,,2]}'),
    "empty body": ("POST", "/score", JSON, ""),
    "top-level list": ("POST", "/score", JSON, "[[1, 2]]"),
    "key missing": ("POST", "/score", JSON, "{}"),
    "wrong name": ("POST", "/score", JSON, '{"date": [[1, 2]]}'),
    "no content type": ("POST", "/score", {}, body().encode()),
    "other content type": ("POST", "/score", {"content-type": "text/plain"}, body()),
    "content type with charset": ("POST", "/score", {"content-type": "application/json; charset=utf-8"}, body()),
    "wrong shape": ("POST", "/score", JSON, '{"data": [[1, 2, 3]]}'),
    "1-D": ("POST", "/score", JSON, '{"data": [1, 2]}'),
    "ragged": ("POST", "/score", JSON, '{"data": [[1, 2], [3]]}'),
    "non-numeric": ("POST", "/score", JSON, '{"data": [[1, "x"]]}'),
    "dict": ("POST", "/score", JSON, '{"data": {"a": 1}}'),
    "[]": ("POST", "/score", JSON, '{"data": []}'),
    "float into int sample": ("POST", "/score", JSON, body(whole=[1, 1.7])),
    "null into int sample": ("POST", "/score", JSON, body(whole=[None])),
    "extra key": ("POST", "/score", JSON, body(more=1)),
    "exception in run": ("POST", "/score", JSON, body(do="raise")),
    "ndarray returned": ("POST", "/score", JSON, body(do="array")),
    "np.int64 returned": ("POST", "/score", JSON, body(do="int64")),
    "bytes returned": ("POST", "/score", JSON, body(do="bytes")),
    "set returned": ("POST", "/score", JSON, body(do="set")),
    "generator returned": ("POST", "/score", JSON, body(do="generator")),
    "NaN in result": ("POST", "/score", JSON, body(do="nan")),
    "inf in result": ("POST", "/score", JSON, body(do="inf")),
    "None returned": ("POST", "/score", JSON, body(do="none")),
    "text returned": ("POST", "/score", JSON, body(do="text")),
    "tuple returned": ("POST", "/score", JSON, body(do="tuple")),
    "scoring timeout": ("POST", "/score", JSON, body(do="sleep")),
    "sys.exit in run": ("POST", "/score", JSON, body(do="exit")),
    "GET /": ("GET", "/", {}, None),
    "POST /": ("POST", "/", {}, "x"),
    "GET /score": ("GET", "/score", {}, None),
    "GET /score?data=": ("GET", "/score?data=[[1,2]]", {}, None),
    "PUT /score": ("PUT", "/score", JSON, body()),
    "HEAD /score": ("HEAD", "/score", {}, None),
    "OPTIONS /score": ("OPTIONS", "/score", {}, None),
    "/score/": ("POST", "/score/", JSON, body()),
    "21 MB body": ("POST", "/score", JSON, json.dumps({"data": [[1.25, 2.5]] * 1_700_000})),
    "110 MB body": ("POST", "/score", JSON, b" " * 110_000_000),
    "x-request-id of 101 characters": ("POST", "/score", {**JSON, "x-request-id": "x" * 101}, body()),
    "swagger": ("GET", "/swagger.json", {}, None),
    "swagger version 9": ("GET", "/swagger.json?version=9", {}, None),
    "unknown route": ("GET", "/nothing", {}, None),
}


@pytest.fixture(scope="module")
def v1(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    service = Supervised(tmp_path_factory.mktemp("v1")).start()
    assert service.deploy(SCRIPT)["ok"]
    yield service
    service.end()


@pytest.fixture
def limited(supervised: Supervised) -> Supervised:
    """The same service with a second and a half for a call."""
    assert supervised.deploy(SCRIPT, scoring_timeout_ms=1500)["ok"]
    return supervised


@pytest.mark.parametrize("what", TABLE)
def test_row_of_the_table(what: str, snapshot: SnapshotAssertion, request: pytest.FixtureRequest) -> None:
    service: Supervised = request.getfixturevalue("limited" if what == "scoring timeout" else "v1")
    method, path, headers, data = TABLE[what]
    response = requests.request(method, service.url + path, data=data, headers={**KEY, **headers}, timeout=60)
    said: Any = response.text
    if response.status_code != 200 and method != "HEAD":
        error = response.json()
        said = {"message": error["message"], **{name: error["error"][name] for name in ("code", "where")}}
    elif len(response.text) > 200:
        said = f"{len(response.text)} characters"
    assert "secret" not in response.text and response.headers["x-ms-request-id"]
    seen = {"status": response.status_code, "failed": response.headers.get("x-ms-run-function-failed"), "said": said}
    assert seen == snapshot


def test_a_worker_that_ends_itself_breaks_its_own_connection_and_is_replaced(v1: Supervised) -> None:
    (before,) = v1.pids()
    with pytest.raises(requests.ConnectionError):
        v1.score({"data": ROWS, "do": "os._exit"})
    wait_until(lambda: v1.pids() not in ([], [before]))
    wait_until(lambda: v1.score({"data": ROWS}).status_code == 200)
