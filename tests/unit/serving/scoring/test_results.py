"""Results that differ from what the script declares."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from mldeploy_jupyter.serving.azureml.aml_response import AMLResponse
from mldeploy_jupyter.serving.schema.decorators import output_schema
from mldeploy_jupyter.serving.schema.numpy_type import NumpyParameterType
from mldeploy_jupyter.serving.schema.pandas_type import PandasParameterType
from mldeploy_jupyter.serving.schema.standard_type import StandardPythonParameterType
from mldeploy_jupyter.serving.scoring.results import ReportedMismatches, output_mismatch
from mldeploy_jupyter.serving.scoring.script import Script
from tests.unit.serving.scripts import script_of

FRAME = pd.DataFrame({"a": [1.5], "b": ["x"]})
FLOATS = NumpyParameterType(np.array([[1.5, 2.5]]))


def sampled(param_type: Any) -> Script:
    return script_of(output_schema(param_type)(lambda data: data))


def hinted(hint: Any) -> Script:
    def run(data):  # type: ignore[no-untyped-def]
        return data

    run.__annotations__["return"] = hint
    return script_of(run)


@pytest.mark.parametrize(
    ("script", "result"),
    [
        (sampled(FLOATS), np.ones((3, 2))),
        (sampled(FLOATS), np.ones((3, 2), dtype=int)),
        (sampled(FLOATS), [[1, 2.5]]),
        (sampled(FLOATS), [np.ones(2), (1, 2)]),
        (sampled(PandasParameterType(FRAME)), FRAME),
        (sampled(PandasParameterType(FRAME)), FRAME.to_dict("records")),
        (sampled(PandasParameterType(FRAME, orient="split")), FRAME.to_dict("split")),
        (sampled(StandardPythonParameterType([1.5])), [np.float64(2.5)]),
        (sampled(StandardPythonParameterType([1.5])), np.array([2.5])),
        (sampled(StandardPythonParameterType({"a": FLOATS})), {"a": np.ones((1, 2))}),
        (hinted(np.ndarray), np.ones(3)),
        (hinted(npt.NDArray[np.float64]), [1.5]),
        (hinted(pd.DataFrame), FRAME),
        (hinted(pd.Series), FRAME["a"]),
        (hinted(list[float]), np.array([1.5])),
        (hinted(dict[str, int] | None), None),
        (hinted(None), None),
        (hinted(Any), object()),
        (sampled(FLOATS), AMLResponse(b"x", 200)),
        (script_of(lambda data: data), {"any": 1}),
    ],
    ids=range(20),
)
def test_results_that_fit(script: Script, result: Any) -> None:
    assert output_mismatch(script, result) is None


@pytest.mark.parametrize(
    ("script", "result", "words"),
    [
        (sampled(FLOATS), np.ones((3, 3)), "at [0]: expected 2 values, got 3"),
        (sampled(FLOATS), np.ones(2), "at [0]: expected a list of rows of 2 values, got a number"),
        (sampled(NumpyParameterType(np.array([1]))), np.array([1.0, 1.7]), "at [1]: 1.7 is not a whole number"),
        (sampled(FLOATS), {"a": 1}, "expected a list of rows of 2 values, got an object"),
        (sampled(PandasParameterType(FRAME)), FRAME[["a"]], "at [0]: wrong columns: no 'b'"),
        (sampled(PandasParameterType(FRAME, orient="split")), FRAME, "expected an object, got a list"),
        (sampled(StandardPythonParameterType({"a": [1]})), {"a": [1, "x"]}, "at .a[1]: expected a whole number"),
        (sampled(FLOATS), None, "got null"),
        (hinted(list[float]), [1, "x"], "at [1]: expected a number"),
        (hinted(npt.NDArray[np.int64]), np.array([0.5]), "at [0]: 0.5 is not a whole number"),
    ],
    ids=range(10),
)
def test_results_that_do_not_fit_say_where(script: Script, result: Any, words: str) -> None:
    found = output_mismatch(script, result)
    assert found is not None
    assert words.replace("at .", "at ") in found


def test_each_place_is_new_once() -> None:
    reported = ReportedMismatches(limit=3)
    assert reported.is_new("at [0].age: a")
    assert not reported.is_new("at [71].age: b")
    assert reported.is_new("at [0].name: a") and reported.is_new("expected a list: x")
    assert not reported.is_new("at more: a")
