"""A refusal shows a body that is accepted."""

from __future__ import annotations

import json

import pytest

from mldeploy_jupyter.serving.scoring.example_hint import MAX_CHARACTERS, make_example
from mldeploy_jupyter.serving.scoring.messages import Request
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from tests.fuzz.scripts import SCRIPTS
from tests.fuzz.wire import script_of

JSON = {"content-type": "application/json"}
WITHOUT = {"text", "bytes", "raw", "split"}  # the first take anything; the schema of the last names no columns


def hint_of(scorer: Scorer, body: bytes) -> tuple[str, str]:
    """The code and the hint of the refusal of `body`."""
    error = json.loads(scorer.score(Request(headers=JSON, body=body)).body)["error"]
    return error["code"], error["hint"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_example_is_short_and_accepted(name: str) -> None:
    script = script_of(SCRIPTS[name])
    example = make_example(script)
    assert bool(example) is (name not in WITHOUT) and len(example) <= MAX_CHARACTERS
    if example:
        assert Scorer(script).score(Request(headers=JSON, body=example.encode())).status == 200


def test_refusals_have_the_example_and_keep_a_hint_that_knows_more() -> None:
    scorer = Scorer(script_of(SCRIPTS["floats"]))
    example = 'For example: {"data":[[1.5,1.5]]}'
    for body in (b"", b"[1]", b"{}"):
        assert hint_of(scorer, body)[1].endswith(f". {example}")
    for body in (b"{", b'{"data": 3}', b'{"data": [[1, "x"]]}'):
        assert hint_of(scorer, body)[1] == example
    assert "NaN" in hint_of(scorer, b'{"data": [[NaN, 1]]}')[1] and example not in hint_of(scorer, b"[NaN]")[1]


def test_a_value_of_the_sample_is_not_shown() -> None:
    source = """
        from inference_schema.schema_decorators import input_schema
        from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
        def init(): pass
        @input_schema("data", StandardPythonParameterType({"name": "Ada", "age": 36}))
        def run(data): return 1
    """
    assert make_example(script_of(source)) == '{"data":{"name":"text","age":1}}'


def test_an_input_that_is_long_has_no_example() -> None:
    source = """
        import numpy as np
        from inference_schema.schema_decorators import input_schema
        from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
        def init(): pass
        @input_schema("data", NumpyParameterType(np.zeros((1, 784))))
        def run(data): return 1
    """
    assert make_example(script_of(source)) == ""
