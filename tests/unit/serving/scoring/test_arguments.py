"""Bodies as arguments of `run()`: whatever a client sends, it fits or is refused."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mldeploy_jupyter.serving.azureml.rawhttp import rawhttp
from mldeploy_jupyter.serving.schema.decorators import input_schema
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType
from mldeploy_jupyter.serving.schema.pandas_type import PandasParameterType
from mldeploy_jupyter.serving.schema.standard_type import StandardPythonParameterType
from mldeploy_jupyter.serving.scoring.arguments import parse_arguments, usual_parser
from mldeploy_jupyter.serving.scoring.messages import Refused, Request
from tests.unit.serving.scoring.test_json_body import json_texts
from tests.unit.serving.scripts import script_of


def param_types() -> dict[str, Any]:
    import pandas as pd

    return {
        "array": NumpyParameterType(np.ones((1, 2))),
        "free array": NumpyParameterType(np.ones((1, 2)), enforce_column_type=False, enforce_shape=False),
        "lossy": NumpyParameterType(np.ones((1, 2), dtype="i4"), lossy=True),
        "frame": PandasParameterType(pd.DataFrame({"a": [1], "b": ["x"]})),
        "free frame": PandasParameterType(pd.DataFrame({"a": [1]}), enforce_column_type=False, enforce_shape=False),
        "plain": StandardPythonParameterType({"a": [1], "b": "x"}),
    }


@pytest.mark.parametrize("name", param_types())
@given(
    body=st.one_of(json_texts(), st.binary(max_size=30).map(lambda data: data.decode("latin-1"))), wrap=st.booleans()
)
def test_any_body_fits_or_is_refused_with_400_or_422(name: str, body: str, wrap: bool) -> None:
    script = script_of(input_schema("data", param_types()[name])(lambda data: 1))
    text = f'{{"data":{body}}}' if wrap else body
    request = Request(headers={"content-type": "application/json"}, body=text.encode("utf-8"))
    try:
        parse_arguments(script, request)
    except Refused as refused:
        assert refused.response.status in (400, 422)


def test_a_raw_request_is_freed_without_the_garbage_collector() -> None:
    script = script_of(rawhttp(lambda request: None))
    gc.disable()
    try:
        request = parse_arguments(script, Request(body=b"x" * 1000))["request"]
        assert len(request.get_data()) == 1000
        freed = weakref.ref(request)
        del request
        assert freed() is None  # workers collect seldom, and a body may have 100 MB
    finally:
        gc.enable()


JSON_HEADERS = {"content-type": "application/json"}


@pytest.mark.parametrize("value", ["[[1.5, -0.0]]", "[[1.5, 2.5], [1e308, 5e-324]]", " [ [0.1,\n0.2] ] "])
def test_the_usual_body_is_parsed_as_any_other(value: str) -> None:
    script = script_of(run_with_array)
    request = Request(headers=JSON_HEADERS, body=f'{{"data": {value}}}'.encode())
    parse = usual_parser(script)
    assert parse is not None
    usual, general = parse(request), parse_arguments(script, request)
    assert usual is not None and list(usual) == list(general) == ["data"]
    assert usual["data"].tobytes() == general["data"].tobytes() and usual["data"].dtype == general["data"].dtype
    assert usual["data"].shape == general["data"].shape and usual["data"].flags.c_contiguous


@pytest.mark.parametrize(
    "body",
    [
        *(f'{{"data": {value}}}' for value in ("[[1, 2]]", "[[1.5, null]]", "[[1.5]]", "[[1.5, 2.5], [1.5]]", "[]")),
        *(f'{{"data": {value}}}' for value in ("[[1.5, true]]", "[1.5, 2.5]", "[[[1.5, 2.5]]]", "1.5", "{}", "null")),
        *('{"other": [[1.5, 2.5]]}', '{"data": [[1.5, 2.5]], "data": [[1.5, 2.5]]}', "[[1.5, 2.5]]", '"x"', "", "{"),
        '{"data": [[1.5, 9007199254740993]]}',
        *(f'{{"data": [[1.5, {value}]]}}' for value in ("1.5.5", '"."', "{}", "[2.5]")),
    ],
)
def test_the_usual_parser_leaves_other_bodies_alone(body: str) -> None:
    parse = usual_parser(script_of(run_with_array))
    assert parse is not None and parse(Request(headers=JSON_HEADERS, body=body.encode())) is None


@pytest.mark.parametrize(
    "headers", [{}, {"content-type": "text/plain"}, {**JSON_HEADERS, "content-encoding": "gzip"}, []]
)
def test_the_usual_parser_leaves_other_headers_alone(headers: Any) -> None:
    parse = usual_parser(script_of(run_with_array))
    assert parse is not None and parse(Request(headers=headers, body=b'{"data": [[1.5, 2.5]]}')) is None


@input_schema("data", NumpyParameterType(np.ones((1, 2))))
def run_with_array(data: Any) -> Any:
    return data


def test_a_script_without_one_array_of_doubles_has_no_usual_parser() -> None:
    @input_schema("data", NumpyParameterType(np.ones((1, 2), dtype="f4")))
    def short_floats(data: Any) -> Any:
        return data

    def plain(data: Any) -> Any:
        return data

    assert usual_parser(script_of(short_floats)) is None and usual_parser(script_of(plain)) is None
