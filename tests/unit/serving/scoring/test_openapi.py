"""The description of the API for every kind of sample, in every version, checked by the specification's validator."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import jsonschema
import numpy as np
import numpy.typing as npt
import openapi_spec_validator
import orjson
import pandas as pd
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mldeploy_jupyter.serving.azureml.rawhttp import rawhttp
from mldeploy_jupyter.serving.schema.decorators import input_schema, output_schema
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType
from mldeploy_jupyter.serving.schema.pandas_orients import ORIENTS
from mldeploy_jupyter.serving.schema.pandas_type import PandasParameterType
from mldeploy_jupyter.serving.schema.standard_type import StandardPythonParameterType
from mldeploy_jupyter.serving.scoring.openapi import describe_service
from mldeploy_jupyter.serving.scoring.script import Script
from mldeploy_jupyter.serving.settings import Settings
from tests.unit.serving.scripts import script_of

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


def sampled(kind: Any) -> Script:
    @input_schema("data", kind)
    @input_schema("mode", StandardPythonParameterType("fast"), optional=True)
    @output_schema(kind)
    def run(data: Any, mode: str = "fast") -> Any:
        return data

    return script_of(run)


@pytest.mark.parametrize("version", ["2.0", "3.0", "3.1"])
@pytest.mark.parametrize("name", SAMPLES)
def test_the_document_is_valid_for_every_sample(name: str, version: str) -> None:
    for auth in (True, False):
        document = describe_service(
            sampled(SAMPLES[name]), Settings(service="s", revision=2, auth_enabled=auth), version
        )
        openapi_spec_validator.validate(json.loads(json.dumps(document)))


@pytest.mark.parametrize("name", SAMPLES)
def test_the_example_fits_its_schema_and_is_scored(name: str) -> None:
    script = sampled(SAMPLES[name])
    document = describe_service(script, Settings(), "3.1")
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
        openapi_spec_validator.validate(describe_service(script_of(run), Settings(), version))


@pytest.mark.parametrize("version", ["2.0", "3.0", "3.1"])
def test_generated_clients_find_a_tag_and_a_name_of_its_own_for_each_operation(version: str) -> None:
    for script in (script_of(lambda data: data), script_of(rawhttp(lambda request: request))):
        document = describe_service(script, Settings(), version)
        operations = [operation for path in document["paths"].values() for operation in path.values()]
        tags = {tag["name"] for tag in document["tags"]}
        assert all(set(operation["tags"]) <= tags and len(operation["tags"]) == 1 for operation in operations)
        assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_a_key_is_described_only_if_the_service_requires_one() -> None:
    script = script_of(lambda data: data)
    assert "securitySchemes" in describe_service(script, Settings(), "3.1")["components"]
    assert "securitySchemes" not in describe_service(script, Settings(auth_enabled=False), "3.1")["components"]


# -- any sample, any hint ---------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "type", "anyOf", "properties", "items", "prefixItems", "$ref", "x", "ü", "enum"])
PLAIN = st.recursive(
    st.sampled_from([1, 2.5, "x", True, b"x", dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3), dt.time(4)]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(NAMES, inner, max_size=3)
        | st.builds(lambda n: NumpyParameterType(np.zeros((n, 2))), st.integers(0, 2))
    ),
    max_leaves=6,
)
DTYPES = ["f8", "f4", "i8", "u1", "?", "U2", "S3", "M8[s]", "m8[D]", "O", [("type", "i4"), ("b", "U2")]]
COLUMNS = [
    pd.Series([1, 2]),
    pd.Series([1.5, None]),
    pd.Series(["a", None]),
    pd.Series([True, False]),
    pd.Series([None, {"any": 1}], dtype=object),
    pd.Series([1, None], dtype="Int64"),
    pd.Series([True, None], dtype="boolean"),
    pd.Series(["u", None], dtype="category"),
    pd.Series(pd.to_datetime(["2020-01-01", None])),
    pd.Series(pd.to_datetime(["2020-01-01", None])).dt.tz_localize("UTC"),
    pd.Series(pd.to_timedelta(["1D", None])),
]


@st.composite
def kinds(draw: Any) -> Any:
    which = draw(st.integers(0, 2))
    if which == 0:
        shape = draw(st.lists(st.integers(0, 3), max_size=3))
        shaped, typed = draw(st.booleans()), draw(st.booleans())
        return NumpyParameterType(np.zeros(shape, draw(st.sampled_from(DTYPES))), typed, shaped)
    if which == 1:
        columns = draw(st.dictionaries(NAMES, st.sampled_from(COLUMNS), min_size=1, max_size=4))
        frame = pd.DataFrame(columns).iloc[: draw(st.integers(0, 2))]
        return PandasParameterType(frame, orient=draw(st.sampled_from(ORIENTS)))
    return StandardPythonParameterType(draw(PLAIN))


def valid(script: Script) -> None:
    for version in ("2.0", "3.0", "3.1"):
        document = json.loads(orjson.dumps(describe_service(script, Settings(), version)))
        openapi_spec_validator.validate(document)
        assert list(document["paths"]["/score"]) == ["post"]


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(kinds(), st.booleans())
def test_any_sample_is_described_by_a_valid_document_and_fits_it(kind: Any, convert: bool) -> None:
    @input_schema("data", kind, convert)
    @output_schema(kind)
    def run(data: Any, level: Colour | None = None) -> Any:
        return data

    script = script_of(run)
    valid(script)
    document = describe_service(script, Settings(), "3.1")
    content = document["paths"]["/score"]["post"]["requestBody"]["content"]["application/json"]
    jsonschema.validate(json.loads(orjson.dumps(content["example"])), content["schema"])


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Leaf:
    type: str
    anyOf: list[Leaf] | None = None


class Model(pydantic.BaseModel):
    n: int = pydantic.Field(gt=0, le=9, multiple_of=3, default=3)
    names: tuple[str, int] | None = None
    kind: Literal["a"] = "a"
    colour: Colour = Colour.RED
    below: list[Model] = []
    day: dt.date | None = pydantic.Field(default=None, examples=["2020-01-02"])
    pair: dict[str, Annotated[float, pydantic.Field(lt=1)]] = {}
    secret: pydantic.SecretStr = pydantic.SecretStr("x")
    either: int | str | bytes = 1


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Options(TypedDict, total=False):
    top: int


HINTS = [
    *(int, float, bool, bytes, list[float], list, dict, dict[str, int], dict[int, str], set[str], type(None)),
    *(tuple[int, str], tuple[int, ...], dt.date, dt.datetime, dt.time, Colour, Literal["a", 1, None], Leaf, Model),
    *(Point, Options, np.ndarray, npt.NDArray[np.int8], npt.NDArray[np.str_], np.float32, pd.DataFrame, pd.Series),
    *(Annotated[str, pydantic.Field(pattern="^a", max_length=3)], int | None, float | str | None, Any, complex),
]


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.recursive(
            st.sampled_from(HINTS),
            lambda inner: inner.map(lambda hint: list[hint]) | inner.map(lambda hint: hint | None),  # type: ignore[valid-type]
            max_leaves=3,
        ),
        min_size=2,
        max_size=3,
    )
)
def test_any_hints_are_described_by_a_valid_document(hints: list[Any]) -> None:
    def run(first, second, third=None):  # type: ignore[no-untyped-def]
        return first

    run.__annotations__.update(zip(("first", "second", "return"), hints, strict=False))
    valid(script_of(run))


def test_hints_are_described() -> None:
    def run(leaf: Leaf, model: Model, colour: Colour = Colour.RED) -> npt.NDArray[np.float64]: ...

    document = describe_service(script_of(run), Settings(), "3.1")
    score = document["paths"]["/score"]["post"]
    content = score["requestBody"]["content"]["application/json"]
    schema = content["schema"]
    assert "example" not in content
    assert schema["required"] == ["leaf", "model"]
    assert schema["properties"]["colour"] == {"enum": ["red"]}
    assert schema["properties"]["leaf"]["required"] == ["type"]
    assert schema["properties"]["model"]["properties"]["n"]["exclusiveMinimum"] == 0
    assert score["responses"]["200"]["content"]["application/json"]["schema"]["x-format"] == "numpy.ndarray"
    old = describe_service(script_of(run), Settings(), "3.0")["paths"]["/score"]["post"]["requestBody"]["content"]
    n = old["application/json"]["schema"]["properties"]["model"]["properties"]["n"]
    assert (n["minimum"], n["exclusiveMinimum"]) == (0, True)


def test_get_is_described_for_raw_scripts_only() -> None:
    raw = describe_service(script_of(rawhttp(lambda request: request)), Settings(), "3.1")["paths"]["/score"]
    assert set(raw) == {"post", "get", "options"} and "requestBody" not in raw["get"]
    assert set(describe_service(script_of(lambda data: data), Settings(), "3.1")["paths"]["/score"]) == {"post"}
