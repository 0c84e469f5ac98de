"""Bodies: compressed, repeated keys, byte order marks, deep nesting, numbers without end. Never a 500."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import types
import zlib
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.serving.schema.decorators import input_schema
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType
from mldeploy_jupyter.serving.schema.pandas_type import PandasParameterType
from mldeploy_jupyter.serving.schema.standard_type import StandardPythonParameterType
from mldeploy_jupyter.serving.scoring.arguments import parse_arguments
from mldeploy_jupyter.serving.scoring.content_encoding import decompress
from mldeploy_jupyter.serving.scoring.json_body import parse_json
from mldeploy_jupyter.serving.scoring.messages import Refused, Request, Response
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from mldeploy_jupyter.serving.scoring.script import Script, inspect_script


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


@given(st.binary(max_size=2000))
def test_compressed_bodies_are_what_they_were(data: bytes) -> None:
    half = len(data) // 2
    assert decompress(gzip.compress(data), "gzip", 2000) == data
    assert decompress(gzip.compress(data[:half]) + gzip.compress(data[half:]) + b"\0\0", " X-GZIP ", 2000) == data
    assert decompress(zlib.compress(data), "deflate", 2000) == data
    assert decompress(raw_deflate(data), "Deflate", 2000) == data
    assert decompress(data, "", 0) == data and decompress(data, "identity", 0) == data


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_are_decompressed_or_refused(data: bytes, encoding: str) -> None:
    result = decompress(data, encoding, 100)
    assert (result.status in (400, 413)) if isinstance(result, Response) else len(result) <= 100


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        (b"{}", "br", 415, "wrong-content-encoding"),
        (b"{}", "gzip, gzip", 415, "wrong-content-encoding"),
        (b"{}", "gzip", 400, "bad-encoding"),
        (b"", "gzip", 400, "bad-encoding"),
        (gzip.compress(b"x" * 50)[:-9], "gzip", 400, "bad-encoding"),
        (zlib.compress(b"x") + b"more", "deflate", 400, "bad-encoding"),
        (gzip.compress(b"") * 101, "gzip", 400, "bad-encoding"),
        (gzip.compress(b"x" * 101), "gzip", 413, "too-large"),
        (gzip.compress(b"x" * 60) * 2, "gzip", 413, "too-large"),
    ],
    ids=range(9),
)
def test_what_cannot_be_decompressed_says_why(body: bytes, encoding: str, status: int, code: str) -> None:
    result = decompress(body, encoding, 100)
    assert isinstance(result, Response) and result.status == status
    error = orjson.loads(result.body)["error"]
    assert error["code"] == code and error["hint"]


def test_a_bomb_takes_no_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(bytes(200_000_000))
    tracemalloc.start()
    result = decompress(bomb, "gzip", 1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(result, Response) and result.status == 413
    assert peak < 2_500_000  # the limit, and the bomb's own bytes that were left over


# -- JSON -------------------------------------------------------------------------------------------------


def script_of(run: Any) -> Script:
    module = types.ModuleType("score")
    module.__dict__.update(init=lambda: None, run=run)
    return inspect_script(module)


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
def test_what_is_no_json_is_a_400_with_its_place(body: bytes, code: str, where: str) -> None:
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
def test_what_only_looks_odd_is_taken(body: bytes) -> None:
    response = answer(body)
    assert response.status == 200, response.body
    sent = json.loads(body.decode("utf-8-sig"))
    assert json.loads(response.body) == [sent["data"], sent["more"]]


@st.composite
def written(draw: Any, depth: int = 3) -> str:
    """JSON as a client may write it: any white space, any escapes, now and then a key twice."""
    space = draw(st.sampled_from(["", "", " ", "\n", "\t"]))
    kind = draw(st.integers(0, 4 if depth else 2))
    if kind == 0:
        return draw(st.sampled_from(["1", "-2.5", "null", "true"]))
    if kind <= 2:
        return json.dumps(draw(st.text(alphabet='ab:" {\\', max_size=4)))
    items = draw(st.lists(written(depth=depth - 1), max_size=3))
    if kind == 3:
        return f"[{space}{','.join(items)}]"
    names = draw(st.lists(st.sampled_from(['"a"', '"b"', '"c"', '":"', '"\\u0061"']), min_size=3, max_size=3))
    return "{" + ",".join(f"{space}{name}{space}:{item}" for name, item in zip(names, items, strict=False)) + "}"


@given(written())
def test_a_key_that_comes_twice_is_found_however_it_is_written(text: str) -> None:
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


def kinds() -> dict[str, Any]:
    import pandas as pd

    return {
        "array": NumpyParameterType(np.ones((1, 2))),
        "free array": NumpyParameterType(np.ones((1, 2)), enforce_column_type=False, enforce_shape=False),
        "lossy": NumpyParameterType(np.ones((1, 2), dtype="i4"), lossy=True),
        "frame": PandasParameterType(pd.DataFrame({"a": [1], "b": ["x"]})),
        "free frame": PandasParameterType(pd.DataFrame({"a": [1]}), enforce_column_type=False, enforce_shape=False),
        "plain": StandardPythonParameterType({"a": [1], "b": "x"}),
    }


@pytest.mark.parametrize("name", kinds())
@given(body=st.one_of(written(), st.binary(max_size=30).map(lambda data: data.decode("latin-1"))), wrap=st.booleans())
def test_no_body_is_a_500(name: str, body: str, wrap: bool) -> None:
    script = script_of(input_schema("data", kinds()[name])(lambda data: 1))
    text = f'{{"data":{body}}}' if wrap else body
    request = Request(headers={"content-type": "application/json"}, body=text.encode("utf-8"))
    try:
        parse_arguments(script, request)
    except Refused as refused:
        assert refused.response.status in (400, 422)
