"""What a service gets for an array, a table, a row or a number, by one rule for hints and samples."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from mldeploy_jupyter.core.errors import UserErrorException
from mldeploy_jupyter.core.scoring_body import make_body, needs_document
from mldeploy_jupyter.serving.schema.decorators import input_schema
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType
from mldeploy_jupyter.serving.schema.pandas_orients import ORIENTS
from mldeploy_jupyter.serving.schema.pandas_type import PandasParameterType
from mldeploy_jupyter.serving.schema.standard_type import StandardPythonParameterType
from mldeploy_jupyter.serving.scoring.messages import Request
from mldeploy_jupyter.serving.scoring.openapi import describe_service
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from mldeploy_jupyter.serving.settings import Settings
from tests.unit.serving.scripts import script_of

FRAME = pd.DataFrame({"a": [1.5, 2.5], "b": [3.0, 4.0]})


def frame_hint(data: pd.DataFrame) -> Any:
    return [type(data).__name__, data.columns.tolist(), data.to_numpy().tolist()]


def array_hint(data: np.ndarray, scale: float = 1.0) -> Any:
    return [type(data).__name__, data.tolist()]


def numbers(data: list[float]) -> Any:
    return data


def number(n: int) -> Any:
    return n


@dataclass
class Person:
    name: str


def person(who: Person) -> Any:
    return who.name


def two(left: int, right: int) -> Any:
    return [left, right]


def text(body: str) -> Any:
    return body


def several(text: str, top_k: int = 3) -> Any:
    return [text, top_k]


def frame_sample(orient: str = "records") -> Callable[..., Any]:
    return input_schema("data", PandasParameterType(FRAME, orient=orient))(lambda data: frame_hint(data))


def array_sample(array: Any) -> Callable[..., Any]:
    return input_schema("data", NumpyParameterType(array))(lambda data: array_hint(data))


def score(run: Callable[..., Any], value: Any) -> Any:
    """What a service with this `run()` answers to the body made of `value`."""
    script = script_of(run)
    document = describe_service(script, Settings(), "3.1") if needs_document(value) else None
    body = make_body(value, document)
    response = Scorer(script).score(Request(headers={"content-type": "application/json"}, body=body))
    assert response.status == 200, response.body
    return orjson.loads(response.body)


ROWS = [[1.5, 3.0], [2.5, 4.0]]
AS_FRAME = ["DataFrame", ["a", "b"], ROWS]
AS_ARRAY = ["ndarray", ROWS]
ONE_ROW = [[1.5, 3.0]]


@pytest.mark.parametrize(
    ("run", "value", "expected"),
    [
        (frame_hint, FRAME, AS_FRAME),
        (frame_hint, {"data": FRAME}, AS_FRAME),
        (frame_hint, FRAME.iloc[0], ["DataFrame", ["a", "b"], ONE_ROW]),
        (frame_hint, FRAME.to_dict("records"), AS_FRAME),
        (frame_hint, json.dumps(FRAME.to_dict("records")), AS_FRAME),
        (frame_hint, json.dumps(FRAME.to_dict("records")).encode(), AS_FRAME),
        (array_hint, FRAME, AS_ARRAY),
        (array_hint, FRAME.to_numpy(), AS_ARRAY),
        (array_hint, {"data": FRAME, "scale": 2}, AS_ARRAY),
        (array_hint, ROWS, AS_ARRAY),
        (frame_sample(), FRAME, AS_FRAME),
        (frame_sample(), FRAME.to_numpy(), AS_FRAME),
        (frame_sample(), FRAME.iloc[0], ["DataFrame", ["a", "b"], ONE_ROW]),
        (frame_sample(), {"data": FRAME.to_numpy()}, AS_FRAME),
        (array_sample(np.ones((1, 2))), FRAME, AS_ARRAY),
        (array_sample(np.ones((1, 2))), {"data": FRAME}, AS_ARRAY),
        (array_sample(np.ones((1, 2))), FRAME.iloc[0], ["ndarray", ONE_ROW]),
        (array_sample(np.ones(2)), FRAME["a"], ["ndarray", [1.5, 2.5]]),
        (array_sample(np.ones((1, 2))), "[[1.5, 3.0]]", ["ndarray", ONE_ROW]),
        (input_schema("data", StandardPythonParameterType([1.5]))(lambda data: data), np.array([1.5]), [1.5]),
        (numbers, pd.Series([1.5]), [1.5]),
        (numbers, (1.5,), [1.5]),
        (number, 7, 7),
        (number, np.int8(7), 7),
        (number, "7", 7),
        (person, Person("Ann"), "Ann"),
        (several, ["a"], None),
        (text, "[1]", "[1]"),
        (text, [1], "[1]"),
    ],
    ids=range(29),
)
def test_what_run_gets(run: Callable[..., Any], value: Any, expected: Any) -> None:
    if expected is None:
        with pytest.raises(AssertionError, match="does-not-fit"):
            score(run, value)
        return
    assert score(run, value) == expected


@pytest.mark.parametrize("orient", ORIENTS)
def test_a_table_takes_the_orient_of_the_sample(orient: str) -> None:
    assert score(frame_sample(orient), FRAME) == AS_FRAME
    if orient != "split":  # whose schema does not name the columns
        assert score(frame_sample(orient), FRAME.to_numpy()) == AS_FRAME


def test_several_required_parameters_take_only_an_object() -> None:
    assert score(two, {"left": 1, "right": np.int64(2)}) == [1, 2]
    with pytest.raises(AssertionError, match="JSON object, not a list"):
        score(two, [1, 2])


def test_a_plain_object_needs_no_document() -> None:
    for value in ({"data": [1]}, '{"data": [1]}', b"\xff", "words", ""):
        assert not needs_document(value)
    for value in ([1], FRAME, {"data": FRAME}, 1, None, "[1]", b"[1]", " 2", "true"):
        assert needs_document(value)


def test_without_a_document_the_value_is_sent_as_it_is() -> None:
    assert json.loads(make_body(FRAME, None)) == FRAME.to_dict("records")
    assert make_body("[1]", None) == b"[1]"
    assert json.loads(make_body([1], {"paths": {"/score": []}})) == [1]


@pytest.mark.parametrize(
    ("run", "value", "words"),
    [
        (frame_sample(), FRAME["a"], ("a Series is one column or one row", "frame.iloc[[0]]")),
        (frame_sample(), np.ones((1, 3)), ("takes 2 columns (a, b), the array has 3", "send a DataFrame")),
        (frame_hint, np.ones((1, 2)), ("an array has no names of columns", "pd.DataFrame(array, columns=[...])")),
        (frame_hint, pd.DataFrame([[1, 2]], columns=["a", "a"]), ("two columns named 'a'", "rename one")),
    ],
    ids=range(4),
)
def test_a_refusal_says_what_to_send(run: Callable[..., Any], value: Any, words: tuple[str, str]) -> None:
    with pytest.raises(UserErrorException) as caught:
        score(run, value)
    assert words[0] in caught.value.why and words[1] in caught.value.hint
