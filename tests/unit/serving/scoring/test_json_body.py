"""JSON bodies: repeated keys, byte order marks, deep nesting, numbers without end."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.serving.scoring.json_body import parse_json
from mldeploy_jupyter.serving.scoring.messages import Refused, Request, Response
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from tests.unit.serving.scripts import script_of


def several(data: Any, more: Any) -> Any:
    return [data, more]


def answer(body: bytes, run: Any = several) -> Response:
    return Scorer(script_of(run)).score(Request(headers={"content-type": "application/json"}, body=body))


@pytest.mark.parametrize(
    ("body", "code", "where"),
    [
        (b'{"data":1,"data":2,"more":1}', "repeated-key", "data"),
        (b'{"data":{"a": 1, "b" :2, "a"\n:3}, "more": 1}', "repeated-key", "a"),
        (b'{"data":[{"x":1},{"x":2,"x":3}],"more":"12:30"}', "repeated-key", "x"),
        (b'{"data":1,"more":{"\\u0061":1,"a":2}}', "repeated-key", "a"),
        (b'{"data":1e400,"more":1}', "bad-json", "line 1"),
        (b'{"data":1' + b"0" * 400 + b',"more":1}', "bad-json", "line 1"),
        (b'{"data":"\\ud800","more":1}', "bad-json", "line 1"),
        (b'{"data":"\xed\xa0\x80","more":1}', "bad-json", "line 1"),
        (b'{"data":NaN,"more":1}', "bad-json", "line 1"),
        (b'{"data":' + b"[" * 2000 + b"]" * 2000 + b',"more":1}', "too-deep", "line 1"),
        (b'{"data":' + b"[" * 201 + b"]" * 201 + b',"more":1}', "too-deep", "data"),
        (b"\xff\xfe{}", "bad-json", "line 1"),
        (b"{", "bad-json", "line 1"),
        (b" \n", "empty-body", ""),
    ],
    ids=range(14),
)
def test_a_body_that_is_not_json_is_refused_with_its_place(body: bytes, code: str, where: str) -> None:
    response = answer(body)
    error = orjson.loads(response.body)["error"]
    assert (response.status, error["code"]) == (400, code)
    assert error["where"] == where or (where == "line 1" and error["where"].startswith(where))


@pytest.mark.parametrize(
    "body",
    [
        b'\xef\xbb\xbf{"data":1,"more":2}',
        b'{"data":"a:b","more":"\\":"}',
        b'{"data":{"a" : {"a":1}, "b":{"a":"x : y"}},"more":[{"a":1},{"a":2}]}',
        b'{"data":' + b"[" * 200 + b"]" * 200 + b',"more":1}',
        b'{"data":18446744073709551616,"more":-1e-400}',
    ],
)
def test_odd_but_valid_json_is_accepted(body: bytes) -> None:
    response = answer(body)
    assert response.status == 200, response.body
    sent = json.loads(body.decode("utf-8-sig"))
    assert json.loads(response.body) == [sent["data"], sent["more"]]


@st.composite
def json_texts(draw: Any, depth: int = 3) -> str:
    """JSON as a client may write it: any white space, any escapes, now and then a key twice."""
    space = draw(st.sampled_from(["", "", " ", "\n", "\t"]))
    kind = draw(st.integers(0, 4 if depth else 2))
    if kind == 0:
        return draw(st.sampled_from(["1", "-2.5", "null", "true"]))
    if kind <= 2:
        return json.dumps(draw(st.text(alphabet='ab:" {\\', max_size=4)))
    items = draw(st.lists(json_texts(depth=depth - 1), max_size=3))
    if kind == 3:
        return f"[{space}{','.join(items)}]"
    names = draw(st.lists(st.sampled_from(['"a"', '"b"', '"c"', '":"', '"\\u0061"']), min_size=3, max_size=3))
    return "{" + ",".join(f"{space}{name}{space}:{item}" for name, item in zip(names, items, strict=False)) + "}"


@given(json_texts())
def test_a_repeated_key_is_found_however_it_is_written(text: str) -> None:
    repeated = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        repeated.extend(items if len(dict(items)) < len(items) else [])
        return dict(items)

    expected = json.loads(text, object_pairs_hook=pairs)
    try:
        data, only_numbers = parse_json(text.encode())
    except Refused as refused:
        assert repeated and orjson.loads(refused.response.body)["error"]["code"] == "repeated-key"
    else:
        assert not repeated and data == expected
        if only_numbers:
            (value,) = data.values()
            assert not any(mark in json.dumps(value) for mark in ('"', "true", "false"))
