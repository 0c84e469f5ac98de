"""What a Spark sample accepts, refuses and says where. Needs pyspark and a Java, which the tests' environment has not

by itself: `pip install pyspark` into it, and run this file.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import jsonschema
import openapi_spec_validator
import pytest

from mldeploy_jupyter.serving.schema.base import ValidationError
from mldeploy_jupyter.serving.schema.decorators import input_schema
from mldeploy_jupyter.serving.schema.spark_type import SparkParameterType
from mldeploy_jupyter.serving.scoring.messages import Request
from mldeploy_jupyter.serving.scoring.openapi import describe_service
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from mldeploy_jupyter.serving.settings import Settings
from tests.unit.serving.scripts import script_of

pytest.importorskip("pyspark", reason="pyspark is not installed")
if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
    pytest.skip("there is no Java for Spark", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore")  # pyspark's own


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
    session = builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    yield session
    session.stop()


ROW = {
    "n": 1,
    "x": 1.5,
    "s": "a",
    "day": "2020-01-02",
    "at": "2020-01-02T03:04:05",
    "money": "1.25",
    "many": [1, 2],
    "inner": {"k": "v"},
    "blob": "eHk=",
    "map": {"q": 1},
    "f": 0.5,
    "ok": True,
    "nothing": None,
}


@pytest.fixture(scope="module")
def kind(spark: Any) -> SparkParameterType:
    from pyspark.sql import types as t

    names: dict[str, Any] = {
        "n": t.IntegerType(),
        "x": t.DoubleType(),
        "s": t.StringType(),
        "day": t.DateType(),
        "at": t.TimestampType(),
        "money": t.DecimalType(10, 2),
        "many": t.ArrayType(t.LongType()),
        "inner": t.StructType([t.StructField("k", t.StringType())]),
        "blob": t.BinaryType(),
        "map": t.MapType(t.StringType(), t.IntegerType()),
        "f": t.FloatType(),
        "ok": t.BooleanType(),
        "nothing": t.StringType(),
    }
    schema = t.StructType([t.StructField(name, type_, name != "n") for name, type_ in names.items()])
    row = (
        *(1, 1.5, "a", dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3, 4, 5), decimal.Decimal("1.25"), [1, 2]),
        *(("v",), b"xy", {"q": 1}, 0.5, True, None),
    )
    return SparkParameterType(spark.createDataFrame([row], schema))


def test_the_sample_written_as_json_is_read_back(kind: SparkParameterType) -> None:
    assert kind.dump() == [ROW]
    frame = kind.parse(kind.dump(), "data")
    assert frame.schema == kind.sample_input.schema
    assert frame.collect() == kind.sample_input.collect()
    assert kind.parse([], "data").count() == 0


def test_columns_are_found_by_name_and_whole_numbers_are_doubles_too(kind: SparkParameterType) -> None:
    row = dict(reversed({**ROW, "x": 2, "n": 7.0, "at": "2020-01-02T03:04:05+00:00"}.items()))
    (found,) = kind.parse([row], "data").collect()
    here = dt.datetime(2020, 1, 2, 3, 4, 5, tzinfo=dt.UTC).astimezone().replace(tzinfo=None)
    assert (found.n, found.x, found.inner.k, found.at) == (7, 2.0, "v", here)


@pytest.mark.parametrize(
    ("change", "where", "words"),
    [
        ({"n": 1.7}, "data[1].n", "1.7 is not a whole number"),
        ({"n": None}, "data[1].n", "got null"),
        ({"n": 2**40}, "data[1].n", "out of the range of integer"),
        ({"x": "1"}, "data[1].x", "expected a number (double)"),
        ({"s": 5}, "data[1].s", "expected a string"),
        ({"day": "soon"}, "data[1].day", "not a date"),
        ({"money": 1.255}, "data[1].money", "without losing digits"),
        ({"money": "1e9"}, "data[1].money", "without losing digits"),
        ({"money": "x"}, "data[1].money", "is not a number"),
        ({"many": [1, "x"]}, "data[1].many[1]", "expected a whole number"),
        ({"inner": {"z": 1}}, "data[1].inner", "no 'k'"),
        ({"map": {"q": 1.5}}, "data[1].map.q", "1.5 is not a whole number"),
        ({"f": 1e39}, "data[1].f", "out of the range of float"),
        ({"ok": 1}, "data[1].ok", "expected true or false"),
        ({"more": 1}, "data[1]", "unknown 'more'"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_with_its_place(
    kind: SparkParameterType, change: dict[str, Any], where: str, words: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        kind.parse([ROW, {**ROW, **change}], "data")
    assert caught.value.where == where
    assert words in str(caught.value)


def test_without_the_samples_types_spark_infers_them(kind: SparkParameterType) -> None:
    free = SparkParameterType(kind.sample_input.select("n", "s"), apply_sample_schema=False)
    assert free.parse([{"n": 1.5, "s": "a"}], "data").collect()[0].n == 1.5
    with pytest.raises(ValidationError, match="no 's'"):
        free.parse([{"n": 1}], "data")


def test_a_script_is_described_and_scores_its_sample(kind: SparkParameterType) -> None:
    run = input_schema("data", kind)(lambda data: [row.asDict() for row in data.select("n", "s").collect()])
    script = script_of(run)
    for version in ("2.0", "3.0", "3.1"):
        openapi_spec_validator.validate(json.loads(json.dumps(describe_service(script, Settings(), version))))
    assert script.sample is not None
    jsonschema.validate(script.sample["data"], kind.schema())
    body = json.dumps(script.sample).encode()
    answer = Scorer(script).score(Request(headers={"content-type": "application/json"}, body=body))
    assert (answer.status, json.loads(answer.body)) == (200, [{"n": 1, "s": "a"}])


def test_other_samples_are_refused_at_once(spark: Any) -> None:
    with pytest.raises(TypeError, match="must be a Spark DataFrame, not list"):
        SparkParameterType([{"a": 1}])
    with pytest.raises(TypeError, match="has no form in JSON"):
        SparkParameterType(spark.sql("select interval '1' day as a"))
