"""Errors of scikit-learn become 422 where the client's data is certainly at fault, and stay 500 otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from mldeploy_jupyter.serving.schema.decorators import input_schema
from mldeploy_jupyter.serving.schema.pandas_type import PandasParameterType
from mldeploy_jupyter.serving.scoring.messages import Request
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from tests.unit.serving.scripts import script_of

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [3.0, 5.0, 4.0]})
MIXED = FRAME.assign(city=["x", "y", "x"])
TARGET = [1.0, 2.0, 3.0]
DATED = MIXED.assign(when="2024-01-31", age=[30.0, None, 41.0])

MODEL = LinearRegression().fit(FRAME, TARGET)
ARRAYS = LinearRegression().fit(FRAME.to_numpy(), TARGET)
PIPELINE = make_pipeline(StandardScaler(), LinearRegression()).fit(FRAME, TARGET)
COLUMNS = make_pipeline(
    ColumnTransformer([("city", OneHotEncoder(), ["city"])], remainder="passthrough"), LinearRegression()
).fit(MIXED, TARGET)


def month(frame: Any) -> Any:
    return pd.to_datetime(frame["when"]).dt.month.to_frame()


PREPARED = make_pipeline(
    ColumnTransformer(
        [
            ("when", FunctionTransformer(month), ["when"]),
            ("city", OneHotEncoder(handle_unknown="ignore"), ["city"]),
            ("age", SimpleImputer(), ["age"]),
            ("rest", StandardScaler(), ["a", "b"]),
        ]
    ),
    LinearRegression(),
).fit(DATED, TARGET)
ARRAY_COLUMNS = make_pipeline(
    ColumnTransformer([("age", SimpleImputer(), [0]), ("rest", "passthrough", [1])]), LinearRegression()
).fit(FRAME.to_numpy(), TARGET)


def fail(frame: Any) -> Any:
    raise ValueError("could not convert string to float: 'x'")


FAILING = make_pipeline(FunctionTransformer(fail), LinearRegression())


def frame(data: pd.DataFrame) -> Any:
    return MODEL.predict(data)


def pipeline(data: pd.DataFrame) -> Any:
    return PIPELINE.predict(data)


def columns(data: pd.DataFrame) -> Any:
    return COLUMNS.predict(data)


def prepared(data: pd.DataFrame) -> Any:
    return PREPARED.predict(data)


def array_columns(data: np.ndarray) -> Any:
    return ARRAY_COLUMNS.predict(data)


def array(data: np.ndarray) -> Any:
    return ARRAYS.predict(data)


sampled = input_schema("data", PandasParameterType(FRAME))(lambda data: MODEL.predict(data))


def changed(data: pd.DataFrame) -> Any:
    data["c"] = "x"
    return MODEL.predict(data)


def renamed(data: pd.DataFrame) -> Any:
    return MODEL.predict(data.rename(columns={"b": "c"}))


def own_error(data: pd.DataFrame) -> Any:
    raise ValueError("could not convert string to float: 'x'")


def own_transformer(data: pd.DataFrame) -> Any:
    return FAILING.fit(data, [1.0] * len(data)).predict(data)


def unfitted(data: pd.DataFrame) -> Any:
    return LinearRegression().predict(data)


def answer(run: Any, data: Any) -> tuple[int, Any]:
    body = orjson.dumps({"data": data})
    response = Scorer(script_of(run)).score(Request(headers={"content-type": "application/json"}, body=body))
    return response.status, orjson.loads(response.body)


GOOD = {"a": 1.0, "b": 2.0}
ROW = {**GOOD, "city": "x", "when": "2024-02-29", "age": 30.0}


@pytest.mark.parametrize(
    ("run", "data", "message"),
    [
        (frame, [{"a": 1, "c": 2}], "data[0]: wrong columns: no 'b'; unknown 'c'"),
        (pipeline, [{"a": 1}], "data[0]: wrong columns: no 'b'"),
        (columns, [GOOD], "data[0]: wrong columns: no 'city'"),
        (frame, [{"b": 1, "a": 2}], "data[0]: the columns are in another order"),
        (frame, [GOOD, {"a": "x", "b": 2}][1:], "data[0].a: expected a number, got a string, 'x'"),
        (pipeline, [{"a": "1.5", "b": 2}, {"a": "old", "b": 2}], "data[1].a: expected a number, got a string, 'old'"),
        (frame, [GOOD, {"a": None, "b": 2}], "data[1].a: expected a number, got null"),
        (frame, [{"a": None, "b": 2}], "data[0].a: expected a number, got null"),
        (columns, [{**GOOD, "city": "z"}], "data: found unknown categories ['z'] in column 0 during transform"),
        (array, [[1, 2, 3]], "data[0]: expected 2 values, got 3"),
        (array, [1, 2], "data: expected a list of rows"),
        (array, [[1, None]], "data[0][1]: expected a number, got null"),
        (array, [["x", "y"]], None),
        (sampled, [], "data: expected at least one row, got none"),
        (frame, [], "data: expected at least one row, got none"),
        (array, [], "data: expected at least one row, got none"),
        (array, 5, "data: expected a list of rows"),
        (prepared, [{**ROW, "age": "old"}], "data[0].age: expected a number, got a string, 'old'"),
        (prepared, [{**ROW, "city": "old", "age": "old"}], "data[0].age: expected a number, got a string, 'old'"),
        (prepared, [{**ROW, "city": "x", "b": "x"}], "data[0].b: expected a number, got a string, 'x'"),
        (array_columns, [[None, 1], [1, None]], "data: expected a number, got null"),
        (array_columns, [[1, 1], [1, None]], "data[1][1]: expected a number, got null"),
    ],
    ids=range(22),
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_what_the_client_sent_wrongly_is_422_with_its_place(run: Any, data: Any, message: str | None) -> None:
    status, body = answer(run, data)
    assert status == 422
    assert message is None or body["message"] == message
    if "wrong columns" in body["message"] or "the columns" in body["message"]:
        assert body["error"]["hint"].startswith("The columns are: a, b")


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        ([1, 2], "One row is sent as a list of one row, such as [[1.0, 2.0]]."),
        ([[1, 2, 3]], "The model was trained with 2 values in each row."),
        ([[1, None]], "The model takes no missing values (null, NaN): fill them in before sending, or in run()."),
        ([], "Send at least one row."),
    ],
    ids=range(4),
)
def test_the_hint_says_what_to_send(data: Any, hint: str) -> None:
    assert answer(array, data)[1]["error"]["hint"] == hint


@pytest.mark.parametrize(
    ("run", "data"),
    [
        (changed, [GOOD]),
        (renamed, [GOOD]),
        (own_error, [{"a": "x", "b": 1}]),
        (own_transformer, [{"a": "x", "b": 1}]),
        (unfitted, [{"a": "x", "b": 1}]),
    ],
)
def test_a_fault_that_may_be_the_scripts_stays_500(run: Any, data: Any) -> None:
    status, body = answer(run, data)
    assert (status, body["error"]["code"]) == (500, "script-failed")


def test_good_data_is_scored() -> None:
    for run in (frame, pipeline, sampled):
        assert answer(run, [GOOD])[0] == 200
    assert answer(columns, [{**GOOD, "city": "x"}])[0] == 200
