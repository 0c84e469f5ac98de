"""A model's signature and input example as the contract of its service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import openapi_spec_validator
import pytest

from mldeploy_jupyter.serving.azureml.http_contract import HttpContract, declare_contract
from mldeploy_jupyter.serving.azureml.rawhttp import rawhttp
from mldeploy_jupyter.serving.mlflow.description import find_model, make_contract, read_contract
from mldeploy_jupyter.serving.scoring.openapi import describe_service
from mldeploy_jupyter.serving.scoring.script import Script
from mldeploy_jupyter.serving.settings import Settings
from tests.unit.serving.scripts import script_of

COLUMNS = [{"type": "double", "name": "a"}, {"type": "long", "name": "b", "required": False}]
TENSOR = [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]
NAMED = [{"type": "tensor", "name": "x", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]
NESTED = [
    {"type": "object", "name": "o", "properties": {"p": {"type": "string"}, "q": {"type": "any", "required": False}}},
    {"type": "array", "name": "l", "items": {"type": "map", "values": {"type": "boolean"}}},
]
PARAMS = [{"name": "top", "type": "long", "default": 3, "shape": None}, {"name": "w", "type": "float", "shape": [-1]}]


def contract(inputs: Any = None, outputs: Any = None, params: Any = None, example: Any = None) -> HttpContract:
    texts = {"inputs": inputs, "outputs": outputs, "params": params}
    signature = {name: json.dumps(items) if items else None for name, items in texts.items()}
    return make_contract({"signature": signature, "mlflow_version": "3.1"}, example)


def script_with(found: HttpContract) -> Script:
    @rawhttp
    def run(request: Any) -> Any:
        return request

    declare_contract(run, found)
    return script_of(run)


@pytest.mark.parametrize(
    ("inputs", "good", "bad"),
    [
        (COLUMNS, {"dataframe_records": [{"a": 1.5}]}, {"dataframe_records": [{"b": 1}]}),
        (COLUMNS, {"dataframe_split": {"columns": ["a"], "data": [[1.5]]}}, {"dataframe_split": {"columns": ["a"]}}),
        (COLUMNS, {"instances": [{"a": 1.5, "b": 2}]}, {"instances": [{"a": "x"}]}),
        (COLUMNS, {"inputs": {"a": [1.5]}}, {"params": [1]}),
        (TENSOR, {"inputs": [[1, 2.5]]}, {"inputs": [1]}),
        (TENSOR, {"instances": [[1, 2.5]]}, {"instances": 5}),
        (NAMED, {"inputs": {"x": [1]}}, {"instances": 5}),
        (NESTED, {"instances": [{"o": {"p": "x"}, "l": [{"k": True}]}]}, {"instances": [{"o": {}, "l": []}]}),
        (None, {"inputs": "anything", "params": {"top": 1}}, {"dataframe_records": 1}),
    ],
)
def test_requests_are_described_by_the_signature(inputs: Any, good: Any, bad: Any) -> None:
    schema = contract(inputs).request
    jsonschema.validate(good, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, schema)


@pytest.mark.parametrize(
    ("outputs", "predictions"),
    [(TENSOR, [[1.5]]), ([{"type": "long"}], [1]), (COLUMNS, [{"a": 1.5}]), (NAMED, {"x": [1]}), (None, "any")],
)
def test_predictions_are_described_by_the_signature(outputs: Any, predictions: Any) -> None:
    schema = contract(outputs=outputs).result
    jsonschema.validate({"predictions": predictions}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([1], schema)


def test_parameters_have_their_defaults() -> None:
    properties = contract(params=PARAMS).request["properties"]["params"]["properties"]
    assert properties["top"] == {"type": "integer", "format": "int64", "default": 3}
    assert properties["w"] == {"type": "array", "items": {"type": "number", "format": "float"}}


@pytest.mark.parametrize("version", ["2.0", "3.0", "3.1"])
@pytest.mark.parametrize("inputs", [COLUMNS, TENSOR, NAMED, NESTED, None])
def test_the_document_of_such_a_service_is_valid_and_has_its_example(inputs: Any, version: str) -> None:
    example = {"dataframe_split": {"columns": ["a"], "data": [[1.5]]}}
    script = script_with(contract(inputs, TENSOR, PARAMS, example))
    document = describe_service(script, Settings(service="s"), version)
    openapi_spec_validator.validate(json.loads(json.dumps(document)))
    assert list(document["paths"]["/score"]) == ["post"]
    assert "application/json" in json.dumps(document["paths"]["/score"])
    assert script.sample == example and json.dumps(example) in json.dumps(document)
    assert script.input == "a JSON object with dataframe_split, dataframe_records, instances or inputs, optional params"


@pytest.mark.parametrize(
    ("info", "content", "example"),
    [
        ({"serving_input_path": "e.json"}, {"inputs": [1]}, {"inputs": [1]}),
        ({"artifact_path": "e.json", "type": "dataframe", "pandas_orient": "split"}, {"data": [[1]]},
         {"dataframe_split": {"data": [[1]]}}),
        ({"artifact_path": "e.json", "type": "ndarray"}, {"inputs": [[1.5]]}, {"inputs": [[1.5]]}),
        ({"artifact_path": "e.json", "type": "other"}, {"x": 1}, None),
        (None, {}, None),
    ],
)  # fmt: skip
def test_the_input_example_becomes_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, info: Any, content: Any, example: Any
) -> None:
    folder = tmp_path / "m" / "1" / "lin"
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text(json.dumps({"saved_input_example_info": info}))
    (folder / "e.json").write_text(json.dumps(content))
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))
    found = read_contract()
    assert find_model() == folder and found is not None and found.example == example


def test_a_model_that_cannot_be_described_has_no_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))
    assert read_contract() is None
    with pytest.raises(FileNotFoundError):
        find_model()
    (tmp_path / "MLmodel").write_text("signature: [1]")
    assert read_contract() is None
