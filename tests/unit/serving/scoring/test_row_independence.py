"""Which scripts may share a call among requests: those whose results for a row do not depend on other rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from mldeploy_jupyter.serving.schema.decorators import input_schema
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType
from mldeploy_jupyter.serving.schema.pandas_type import PandasParameterType
from mldeploy_jupyter.serving.scoring.messages import Request
from mldeploy_jupyter.serving.scoring.row_independence import batching_refusal
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from tests.unit.serving.scripts import script_of

ROWS = NumpyParameterType(np.array([[1.0, 2.0], [3.0, 5.0]]))
TABLE = PandasParameterType(pd.DataFrame({"x": [1.0, 3.0], "kind": ["a", "b"]}))


def refusal(param_type: Any, run: Any) -> str:
    scorer = Scorer(script_of(input_schema("data", param_type)(run)))
    body = orjson.dumps(scorer.script.sample)
    alone = scorer.score(Request(headers={"content-type": "application/json"}, body=body))
    assert alone.status == 200, alone.body
    return batching_refusal(scorer, body, alone)


def known_kinds_only(data: Any) -> list[float]:
    """Like a model with a vocabulary, which fails on numbers that it was not trained on."""
    return [{1.0: 10.0, 3.0: 30.0}[number] for number in data["x"]]


@pytest.mark.parametrize(
    ("param_type", "run"),
    [
        (ROWS, lambda data: data.sum(axis=1).tolist()),
        (ROWS, lambda data: {"score": data[:, 0], "twice": 2 * data}),
        (TABLE, lambda data: data.assign(x=data["x"] * 2)),
        (TABLE, known_kinds_only),
    ],
    ids=range(4),
)
def test_results_row_by_row_may_be_batched(param_type: Any, run: Any) -> None:
    assert refusal(param_type, run) == ""


@pytest.mark.parametrize(
    ("param_type", "run", "reason"),
    [
        (ROWS, lambda data: (data - data.mean()).tolist(), "depends on the other rows"),
        (TABLE, lambda data: data["x"].rank().tolist(), "depends on the other rows"),
        (ROWS, lambda data: float(data.sum()), "does not return one result for each row"),
        (ROWS, lambda data: {"mean": data.mean()}, "does not return one result for each row"),
        (ROWS, lambda data: [[1], [2]] if len(data) == 2 else 1 / 0, "fails on the rows of several requests"),
        (NumpyParameterType(np.array(1.0)), lambda data: [float(data)], "must have one parameter that is made of rows"),
    ],
    ids=range(6),
)
def test_other_results_may_not(param_type: Any, run: Any, reason: str) -> None:
    assert reason in refusal(param_type, run)
