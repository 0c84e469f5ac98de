"""What clients of Azure's services sent is told from MLflow's own forms, and translated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mldeploy_jupyter.serving.mlflow.requests import is_older_form, to_mlflow_form

FRAME = {"columns": ["a"], "index": [0], "data": [[1]]}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"input_data": FRAME}, {"dataframe_split": FRAME}),
        ({"input_data": {"columns": ["a"], "data": [[1]]}, "params": {"top": 1}},
         {"dataframe_split": {"columns": ["a"], "data": [[1]]}, "params": {"top": 1}}),
        ({"input_data": [[1, 2]]}, {"inputs": [[1, 2]]}),
        ({"input_data": {"a": [1]}}, {"inputs": {"a": [1]}}),
        (FRAME, {"dataframe_split": FRAME}),
    ],
)  # fmt: skip
def test_older_forms_are_translated(sent: Any, read: Any) -> None:
    body = json.dumps(sent).encode()
    assert is_older_form(body) and json.loads(to_mlflow_form(body)) == read


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"input_data"',
        b'["columns"]',
        b'{"columns": ["a"]}',
        json.dumps({"dataframe_split": FRAME}).encode(),
        json.dumps({"inputs": {"input_data": [1]}}).encode(),
        json.dumps({"inputs": [1], "input_data": [1]}).encode(),
        json.dumps({"messages": [], "input_data": 1}).encode(),
    ],
)
def test_other_bodies_are_left_to_mlflow(body: bytes) -> None:
    assert not is_older_form(body)
