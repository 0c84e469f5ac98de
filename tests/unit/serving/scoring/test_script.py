"""The contract of an entry script: its parameters, how it gets its input, what is refused."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import pandas as pd
import pytest

from mldeploy_jupyter.serving.azureml.rawhttp import rawhttp
from mldeploy_jupyter.serving.ipc.failure import ContractError
from mldeploy_jupyter.serving.schema.decorators import input_schema
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType
from mldeploy_jupyter.serving.schema.pandas_type import PandasParameterType
from mldeploy_jupyter.serving.schema.standard_type import StandardPythonParameterType
from mldeploy_jupyter.serving.scoring.arguments import parse_arguments
from mldeploy_jupyter.serving.scoring.messages import Refused, Request
from mldeploy_jupyter.serving.scoring.openapi import request_of
from mldeploy_jupyter.serving.scoring.script import inspect_script, load_script
from mldeploy_jupyter.serving.settings import Settings
from tests.unit.serving.schema.test_hints import ANN, Address, Person
from tests.unit.serving.scripts import script_of

FRAME = pd.DataFrame({"n": [1, 2], "s": ["a", None]})


def test_several_parameters_without_samples_are_keys_of_an_object() -> None:
    script = script_of(lambda a, b, c=1: a)
    assert script.mode == "object" and script.sample is None
    assert [(p.name, p.required) for p in script.parameters] == [("a", True), ("b", True), ("c", False)]


def test_raw_and_samples_exclude_each_other() -> None:
    run = rawhttp(input_schema("data", StandardPythonParameterType(1))(lambda data: data))
    with pytest.raises(ContractError, match="both @rawhttp and @input_schema"):
        script_of(run)


def test_a_script_is_batchable_if_its_one_parameter_has_rows() -> None:
    rows, table = NumpyParameterType(np.zeros((1, 2))), PandasParameterType(FRAME)
    one = StandardPythonParameterType({"a": 1})
    assert script_of(input_schema("data", rows)(lambda data: data)).batchable
    assert script_of(input_schema("data", table)(lambda data: data)).batchable
    assert script_of(input_schema("data", StandardPythonParameterType([1]))(lambda data: data)).batchable
    assert not script_of(input_schema("data", one)(lambda data: data)).batchable
    assert not script_of(input_schema("data", NumpyParameterType(np.array(1)))(lambda data: data)).batchable
    assert not script_of(input_schema("data", rows)(lambda data, more=1: data)).batchable
    assert not script_of(input_schema("data", rows)(lambda data, request_headers: data)).batchable
    assert not script_of(input_schema("data", rows, convert_to_provided_type=False)(lambda data: data)).batchable
    assert not script_of(lambda data: data).batchable


def arguments(run: Any, body: Any) -> dict[str, Any]:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return parse_arguments(script_of(run), Request(headers={"content-type": "application/json"}, body=data))


def test_one_hinted_parameter_is_a_key_of_an_object() -> None:
    def run(data: np.ndarray) -> Any:
        return data

    script = script_of(run)
    assert (script.mode, script.sample, script.batchable) == ("object", None, True)
    np.testing.assert_array_equal(arguments(run, {"data": [[1, 2]]})["data"], np.array([[1.0, 2.0]]))
    with pytest.raises(Refused) as caught:
        arguments(run, {"data": [[1, "x"]]})
    assert caught.value.response.status == 422
    assert orjson.loads(caught.value.response.body)["error"]["where"] == "data[0][1]"


def test_several_hinted_parameters_with_defaults() -> None:
    def run(person: Person, limit: float = 2.5, mode: Literal["a", "b"] = "a", more: Any = None) -> Any:
        return person

    assert arguments(run, {"person": ANN}) == {"person": Person("Ann", 41, Address("Oslo"))}
    assert arguments(run, {"person": ANN, "limit": 1, "more": {"x": 1}})["limit"] == 1.0
    with pytest.raises(Refused) as caught:
        arguments(run, {"person": ANN, "mode": "c"})
    assert orjson.loads(caught.value.response.body)["error"]["where"] == "mode"


def test_a_script_without_understood_hints_gets_the_body_as_in_v1() -> None:
    def text(data: str) -> Any: ...
    def binary(data: bytes) -> Any: ...
    def bare(data): ...  # type: ignore[no-untyped-def]
    def anything(data: Any) -> Any: ...
    def unknown(data: complex) -> Any: ...
    def absent(data: NotImported) -> Any: ...  # type: ignore[name-defined]  # noqa: F821

    for run in (text, bare, anything, unknown, absent):
        assert arguments(run, b"\xef\xbb\xbf[1") == {"data": "[1"}
    assert arguments(binary, b"\xff\x00") == {"data": b"\xff\x00"}
    assert "not understood" in script_of(absent).warnings[0] and "NotImported" in script_of(absent).warnings[0]
    assert "not understood" in script_of(unknown).warnings[0]


def functions(source: str) -> Any:
    scope: dict[str, Any] = {"np": np, "pd": pd, "Any": Any}
    exec(source, scope)
    return scope["run"]


# The signature, and what run() gets: the body itself, or a JSON object with an entry for each parameter.
MODES = {
    "data": "text",
    "data: str": "text",
    "data: str = 'a'": "text",
    "data: bytes": "bytes",
    "data: Any": "text",
    "data: complex": "text",
    "data, request_headers": "text",
    "data: str, request_headers: dict": "text",
    "data: int": "object",
    "data: dict": "object",
    "data: np.ndarray": "object",
    "data: pd.DataFrame": "object",
    "data: str | None": "object",
    "data: list[str] = []": "object",
    "text: str, top_k: int = 3": "object",
    "text: str, top_k=3": "object",
    "text, top_k: int = 3": "object",
    "left, right=1": "object",
    "left=1, right=1": "object",
    "left, right": "object",
    "left, right: int = 1": "object",
    "left: int, right: int = 1": "object",
    "left: str, right: str": "object",
    "left: str = 'a', right: str = 'b'": "object",
    "data: bytes, name: str = ''": "object",
    "data: Any, limit: float = 1.0": "object",
    "data: complex, *, limit=1.0": "object",
    "data, *, limit: int = 1, request_headers": "object",
}


@pytest.mark.parametrize("signature", MODES)
def test_only_a_lone_parameter_gets_the_body_itself(signature: str) -> None:
    script = script_of(functions(f"def run({signature}): return data"))
    assert script.mode == MODES[signature]
    request, _, _ = request_of(script)
    assert set(request.get("properties", {})) == (
        {p.name for p in script.parameters} if script.mode == "object" else set()
    )


@pytest.mark.parametrize("signature", [name for name, mode in MODES.items() if mode == "object"])
def test_every_parameter_can_be_sent_and_no_other_key(signature: str) -> None:
    run = functions(f"def run({signature}): return data")
    values = {"text": "hello", "top_k": 5, "left": 2, "right": 3, "data": None, "name": "n", "limit": 2}
    examples = {"int": 1, "dict": {}, "np.ndarray": [[1.0]], "pd.DataFrame": [{"a": 1}], "list[str]": ["a"]}
    body = {}
    for parameter in script_of(run).parameters:
        hint = next((part.partition(":")[2] for part in signature.split(", ") if part.startswith(parameter.name)), "")
        hint = hint.partition("=")[0].strip()
        body[parameter.name] = {"str": "x", "bytes": "eA==", **examples}.get(hint, values[parameter.name])
    assert arguments(run, body).keys() - {"request_headers"} == body.keys()
    with pytest.raises(Refused) as caught:
        arguments(run, {**body, "unknown": 1})
    assert orjson.loads(caught.value.response.body)["error"]["code"] == "unknown-parameter"


def test_a_misspelled_parameter_is_refused_with_the_name_it_resembles() -> None:
    def run(people: list[str], order: str = "name") -> Any: ...

    with pytest.raises(Refused) as caught:
        arguments(run, {"people": ["a"], "ordr": "age"})
    answer = orjson.loads(caught.value.response.body)
    assert (caught.value.response.status, answer["error"]["where"]) == (422, "ordr")
    assert (answer["message"], answer["error"]["hint"]) == ("run() has no parameter 'ordr'", "Did you mean 'order'?")


def test_a_script_with_samples_ignores_unknown_keys_as_in_v1() -> None:
    run = input_schema("data", StandardPythonParameterType([1]))(lambda data, more=1: data)
    assert arguments(run, {"data": [1], "extra": 1}) == {"data": [1]}


def test_a_first_parameter_that_had_the_text_in_v1_is_warned_of() -> None:
    assert "for the body as text, as in v1" in script_of(lambda data, limit=1: data).warnings[0]
    assert not script_of(lambda data, request_headers: data).warnings
    assert not script_of(functions("def run(text: str, top_k: int = 3): return text")).warnings


def test_an_unknown_hint_leaves_its_parameter_unchecked() -> None:
    def run(a: complex, b: int) -> Any: ...

    assert arguments(run, {"a": "?", "b": 1}) == {"a": "?", "b": 1}
    assert "the type hint of 'a' is not understood" in script_of(run).warnings[0]


def run_with_two(a: Any, b: Any) -> Any: ...


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"run": len}, "the entry script has no init() function"),
        ({"init": lambda: None}, "the entry script has no run() function"),
        ({"init": lambda: None, "run": 5}, "run in the entry script is int, not a function"),
        ({"init": lambda path: None, "run": len}, "init() is called without arguments, but it requires path"),
        ({"init": lambda: None, "run": lambda: 1}, "run() takes no input"),
        ({"init": lambda: None, "run": lambda *rows: 1}, "*rows is not allowed"),
        ({"init": lambda: None, "run": lambda data, /: 1}, "data is positional-only"),
        ({"init": lambda: None, "run": rawhttp(run_with_two)}, "@rawhttp takes one parameter"),
        (
            {"init": lambda: None, "run": input_schema("x", StandardPythonParameterType(1))(lambda data: 1)},
            "@input_schema names 'x', but the parameters of run() are: data",
        ),
    ],
    ids=range(9),
)
def test_a_module_that_breaks_the_contract_is_refused(members: dict[str, Any], words: str) -> None:
    module = types.ModuleType("score")
    module.__dict__.update(members)
    with pytest.raises(ContractError) as caught:
        inspect_script(module)
    assert words in str(caught.value)


def test_a_driver_module_has_the_run_and_the_script_around_it_the_init() -> None:
    driven, module = types.ModuleType("score"), types.ModuleType("driver")
    driven.run = input_schema("n", StandardPythonParameterType(1))(lambda n: n + 10)  # type: ignore[attr-defined]
    module.__dict__.update(init=lambda: "outer", run=lambda data: driven.run(data), driver_module=driven)
    script = inspect_script(module)
    assert (script.mode, script.run(n=1), script.init()) == ("object", 11, "outer")
    driven.__dict__.pop("run")
    assert inspect_script(module).mode == "text"


def test_a_sample_of_integers_and_a_swallowed_exception_are_warned_of() -> None:
    def run(data: Any) -> Any:
        try:
            return data.tolist()
        except Exception as error:
            return str(error)

    warnings = script_of(input_schema("data", NumpyParameterType(np.array([1])))(run)).warnings
    assert "the sample of 'data' has only whole numbers" in warnings[0]
    assert "a failure looks like a result" in warnings[1]


@pytest.mark.parametrize("name", ["my-score.py", "01_score.py", "my score.py", "class.py", "score.v2.py", "json.py"])
def test_a_script_may_have_any_file_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / name).write_text(
        "import dataclasses\n\n@dataclasses.dataclass\nclass Row:\n    n: 'int'\n\n"
        "def init(): pass\ndef run(data): return data\n"
    )
    script = load_script(Settings(app_root=str(tmp_path), entry_script=name))
    assert script.run("x") == "x"
    module = script.module.__name__
    assert module.isidentifier() and sys.modules.pop(module) is script.module
