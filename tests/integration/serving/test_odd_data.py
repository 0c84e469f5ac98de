"""Faults 24 and 25: malformed data, in requests and in results, for every kind of script.

Input never causes a 500, and clients never get anything but JSON. The error codes are in `test_http.py`, random
bodies in `tests/fuzz`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tests.fuzz.scripts import EXAMPLES, SCRIPTS
from tests.integration.serving.supervised import KEY, Supervised

HEADERS = {**KEY, "content-type": "application/json"}
BAD = {
    "cut": b'{"data": [1, 2',
    "two values": b"{} {}",
    "a comma too many": b'{"data": [1,]}',
    "no quotes": b"{data: 1}",
    "single quotes": b"{'data': 1}",
    "a comment": b'{"data": 1 /* one */}',
    "NaN": b'{"data": NaN, "a": 1, "b": 1}',
    "infinity": b'{"data": [[Infinity, -Infinity]], "a": 1, "b": 1}',
    "NUL": b'{"data": "\0", "a": 1, "b": 1}',
    "UTF-16": '{"data": 1}'.encode("utf-16"),
    "latin-1": '{"data": "é", "a": "é", "b": 1}'.encode("latin-1"),
    "half a surrogate": b'{"data": "\\ud800", "a": "\\ud800", "b": 1}',
    "binary": bytes(range(256)),
    "a key twice": b'{"data": 1, "data": 2, "a": 1, "a": 2, "b": 1}',
    "a key twice, deep": b'{"data": [{"a": 1, "a": 2}], "a": {"x": 1, "x": 2}, "b": 1}',
    "nothing": b"",
    "blanks": b" \n\t ",
    "only a BOM": b"\xef\xbb\xbf",
}
WRONG: list[Any] = [None, True, 0, -1, 1.7, "", "x", [], {}, [[]], [[], []], [[[]]], [None], [[None]], [{}], {"a": {}},
                    {"columns": []}, {"columns": ["a"], "data": [[1, 2]]}, [[1], [1, 2]], [1, [2]], 10**400, "9" * 5000,
                    {"x": "y"}, [{"x": 1}] * 3, "2020-13-45", [[1e308]], {"name": None, "age": "x"}]  # fmt: skip
PARSED = sorted(EXAMPLES)


@pytest.mark.parametrize("name", PARSED)
def test_no_input_of_a_client_is_answered_with_500(shared: Supervised, name: str) -> None:
    assert shared.deploy(SCRIPTS[name])["ok"]
    pids = shared.pids()
    good = json.dumps(EXAMPLES[name]).encode()
    with requests.Session() as session:

        def send(body: bytes) -> requests.Response:
            return session.post(f"{shared.url}/score", data=body, headers=HEADERS, timeout=60)

        assert send(good).status_code == send(b"\xef\xbb\xbf" + good).status_code == 200
        for what, body in BAD.items():
            answer = send(body)
            assert answer.status_code in (400, 422), f"{what}: {answer.status_code} {answer.text}"
            assert answer.json()["error"]["code"] and answer.headers["x-ms-run-function-failed"] == "false"
        for key in EXAMPLES[name]:
            for value in WRONG:
                answer = send(json.dumps({**EXAMPLES[name], key: value}).encode())
                assert answer.status_code in (200, 400, 422), f"{key}={value!r:.60}: {answer.text}"
                if answer.status_code == 422:
                    assert answer.json()["error"]["where"].startswith(key)
        assert send(good).status_code == 200
    assert shared.pids() == pids


RESULTS = {
    "float('nan')": "",
    "{'a': [1, float('inf')]}": "a[1]",
    "{'a': {'b': (1.0, -float('inf'))}}": "a.b[1]",
    "np.array([[1.0], [np.nan]])": "[1][0]",
    "np.float32('inf')": "",
    "[np.float64('nan')]": "[0]",
    "{float('nan'): 1}": None,
    "pd.Series([1.0, None])": None,
    "pd.DataFrame({'a': [1.0, np.nan]})": None,
    "{'a': pd.NaT}": None,
    "'\\ud800'": None,
    "{1: {2, 3}}": None,
    "b'x'": None,
    "1j": None,
    "10**400": None,
    "object()": None,
    "(lambda x: (x.append(x), x)[1])([])": None,
}


def test_results_are_strict_json_or_an_error_that_names_the_place(shared: Supervised) -> None:
    source = "import numpy as np, pandas as pd\ndef init(): pass\ndef run(data): return eval(data)\n"
    assert shared.deploy(source)["ok"]
    pids = shared.pids()
    for expression, where in RESULTS.items():
        answer = requests.post(f"{shared.url}/score", data=expression, headers=HEADERS, timeout=60)
        found = json.loads(answer.text, parse_constant=pytest.fail)  # NaN, Infinity
        if where is not None:
            error = found["error"]
            assert (answer.status_code, error["code"], error["where"]) == (500, "output-not-json", where), expression
        assert answer.status_code == 200 or found["error"]["code"] in ("output-not-json", "script-failed")
        assert answer.headers["x-ms-run-function-failed"] == str(answer.status_code == 500).lower()
    assert shared.pids() == pids
