"""The description of the API for every kind of sample, in every version, checked by the specification's validator."""

from __future__ import annotations

import datetime as dt
import json
import types
from typing import Any

import jsonschema
import numpy as np
import openapi_spec_validator
import pandas as pd
import pytest

from mldeploy_jupyter.serving.failure import ContractError
from mldeploy_jupyter.serving.openapi import describe
from mldeploy_jupyter.serving.rawhttp import rawhttp
from mldeploy_jupyter.serving.schema.decorators import input_schema, output_schema
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType
from mldeploy_jupyter.serving.schema.pandas_type import ORIENTS, PandasParameterType
from mldeploy_jupyter.serving.schema.standard_type import StandardPythonParameterType
from mldeploy_jupyter.serving.script import Script, inspect_script
from mldeploy_jupyter.serving.settings import Settings

FRAME = pd.DataFrame(
    {
        "n": [1],
        "x": [1.5],
        "s": ["a"],
        "b": [True],
        "t": pd.to_datetime(["2020-01-01"]),
        "c": pd.Series(["u"], dtype="category"),
        "i": pd.Series([1], dtype="Int64"),
        "d": pd.to_timedelta(["1D"]),
    }
)
SAMPLES: dict[str, Any] = {
    "matrix": NumpyParameterType(np.array([[1, 2]])),
    "scalar": NumpyParameterType(np.array(1.5)),
    "strings": NumpyParameterType(np.array(["ab"])),
    "booleans": NumpyParameterType(np.array([True])),
    "dates": NumpyParameterType(np.array(["2020-01-01"], dtype="M8[ns]")),
    "records": NumpyParameterType(np.array([(1, 2.5)], dtype=[("a", int), ("b", float)])),
    "objects": NumpyParameterType(np.array([None], dtype=object)),
    "nested": StandardPythonParameterType({"a": [1, "x"], "b": (1, 2.5), "c": {"d": b"x"}, "e": []}),
    "date": StandardPythonParameterType(dt.datetime(2020, 1, 2)),
    **{f"frame-{orient}": PandasParameterType(FRAME, orient=orient) for orient in ORIENTS},
}  # fmt: skip


def script_of(run: Any) -> Script:
    module = types.ModuleType("score")
    module.__dict__.update(init=lambda: None, run=run)
    return inspect_script(module)


def sampled(kind: Any) -> Script:
    @input_schema("data", kind)
    @input_schema("mode", StandardPythonParameterType("fast"), optional=True)
    @output_schema(kind)
    def run(data: Any, mode: str = "fast") -> Any:
        return data

    return script_of(run)


@pytest.mark.parametrize("version", ["2.0", "3.0", "3.1"])
@pytest.mark.parametrize("name", SAMPLES)
def test_the_description_is_valid_for_every_sample(name: str, version: str) -> None:
    for auth in (True, False):
        document = describe(sampled(SAMPLES[name]), Settings(service="s", revision=2, auth_enabled=auth), version)
        openapi_spec_validator.validate(json.loads(json.dumps(document)))


@pytest.mark.parametrize("name", SAMPLES)
def test_the_sample_fits_the_schema_that_is_told_and_is_scored_by_it(name: str) -> None:
    script = sampled(SAMPLES[name])
    document = describe(script, Settings(), "3.1")
    content = document["paths"]["/score"]["post"]["requestBody"]["content"]["application/json"]
    assert content["example"] == script.sample
    jsonschema.validate(content["example"], content["schema"])
    assert content["schema"]["required"] == ["data"]


@pytest.mark.parametrize("version", ["2.0", "3.0", "3.1"])
def test_scripts_without_samples_are_described_too(version: str) -> None:
    def text(data: str) -> str:
        return data

    def several(a: int, b: int, c: int = 1) -> int:
        return a

    for run in (text, several, rawhttp(lambda request: request)):
        openapi_spec_validator.validate(describe(script_of(run), Settings(), version))


def test_several_parameters_without_samples_are_keys_of_an_object() -> None:
    script = script_of(lambda a, b, c=1: a)
    assert script.mode == "object" and script.sample is None
    assert [(p.name, p.required) for p in script.parameters] == [("a", True), ("b", True), ("c", False)]
    assert script_of(lambda data, c=1: data).mode == "text"


def test_raw_and_samples_exclude_each_other() -> None:
    run = rawhttp(input_schema("data", StandardPythonParameterType(1))(lambda data: data))
    with pytest.raises(ContractError, match="both @rawhttp and @input_schema"):
        script_of(run)


def test_a_key_is_described_only_where_one_is_asked_for() -> None:
    script = script_of(lambda data: data)
    assert "securitySchemes" in describe(script, Settings(), "3.1")["components"]
    assert "securitySchemes" not in describe(script, Settings(auth_enabled=False), "3.1")["components"]
