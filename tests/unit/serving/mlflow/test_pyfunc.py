"""A model that a real MLflow saved, scored by the script that a deployment without one gets."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

# In a process of its own: MLflow changes global state, and the name `mldeploy_serving` is that of a bundle's server.
SCORE = r"""
import gzip, json, logging, os, sys, warnings
import mlflow, pandas as pd
from mlflow.models import infer_signature
import mldeploy_jupyter.serving as server
warnings.simplefilter("ignore")
logging.getLogger("mlflow").setLevel(logging.CRITICAL)
class Sum(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        if model_input["a"].isna().any():
            raise RuntimeError("no NaN here")
        return (model_input.sum(axis=1) * params["times"]).to_numpy()
frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
mlflow.pyfunc.save_model(
    "models/sum/1/sum", python_model=Sum(), pip_requirements=[], input_example=(frame, {"times": 2}),
    signature=infer_signature(frame, frame.to_numpy()[:, 0], {"times": 2}),
)
os.environ["AZUREML_MODEL_DIR"] = os.path.abspath("models")
sys.modules["mldeploy_serving"] = server
from mldeploy_jupyter.serving import mlflow as served
sys.modules["mldeploy_serving.mlflow"] = served
import importlib.util
from mldeploy_jupyter.deployment.source.mlflow_models import SCRIPT
from mldeploy_jupyter.serving.scoring.messages import Request
from mldeploy_jupyter.serving.scoring.script import inspect_script
from mldeploy_jupyter.serving.scoring.scorer import Scorer
spec = importlib.util.spec_from_file_location("score", SCRIPT)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
script = inspect_script(module)
script.init()
scorer = Scorer(script)
def score(body, content_type="application/json"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = scorer.score(Request(headers={"content-type": content_type}, body=body))
    return response.status, json.loads(response.body), response.failed
split = {"columns": ["a", "b"], "data": [[1.0, 2.0], [3, 4]]}
for body in (
    {"dataframe_split": split}, {"dataframe_records": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]},
    {"instances": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}, {"inputs": {"a": [1.0, 3], "b": [2.0, 4]}},
    b"a,b\n1,2\n3,4\n",
):
    found = score(body, "text/csv" if isinstance(body, bytes) else "application/json; charset=utf-8")
    assert found == (200, {"predictions": [6.0, 14.0]}, False), (body, found)
packed = Request(headers={"content-type": "application/json", "content-encoding": "gzip"},
                 body=gzip.compress(json.dumps({"dataframe_split": split}).encode()))
assert scorer.score(packed).status == 200
assert score({"dataframe_split": split, "params": {"times": 3}})[1] == {"predictions": [9.0, 21.0]}
assert score({"input_data": split}) == score(split) == (200, [6.0, 14.0], False)
assert scorer.score(Request(headers={"content-type": "application/json"}, body=json.dumps(script.sample).encode())).status == 200
for body, content_type, status, text, failed in (
    ({"dataframe_records": [{"a": 1}]}, "application/json", 400, "missing inputs", False),
    ({"dataframe_records": [{"a": "x", "b": 1}]}, "application/json", 400, "convert", False),
    (b"{bad", "application/json", 400, "valid JSON", False),
    (b'a,b\n"1', "text/csv", 400, "Failed to parse", False),
    ({"rows": 1}, "application/json", 400, "exactly one of", False),
    (b"x", "text/plain", 415, "content types", False),
    (b"x", "", 415, "content types", False),
    ({"dataframe_split": {"columns": ["a", "b"], "data": [[None, 1]]}}, "application/json", 400, "unexpected error", True),
):
    found = score(body, content_type)
    assert found[0] == status and text in found[1]["message"] and found[2] == failed, found
    assert found[1]["error_code"] and found[1]["error"]["code"] and "stack_trace" not in found[1], found
"""  # noqa: E501


@pytest.mark.skipif(find_spec("mlflow") is None, reason="pip install 'mldeploy-jupyter[mlflow]'")
def test_a_model_of_mlflow_is_scored_as_mlflow_serves_it(tmp_path: Path) -> None:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": (tmp_path / "tracking").as_uri()}
    done = subprocess.run(
        [sys.executable, "-c", SCORE], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
