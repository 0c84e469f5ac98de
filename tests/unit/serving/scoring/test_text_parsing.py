"""A plain v1 `run()` that parses its own text keeps getting text, whatever its hint says."""

from __future__ import annotations

import ast
import base64
import io
import json
from collections.abc import Callable
from typing import Any, Optional

import numpy as np
import pandas as pd
import pytest

from mldeploy_jupyter.serving.scoring.messages import Request
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from tests.unit.serving.scripts import script_of


def plain(raw_data: dict) -> Any:
    return json.loads(raw_data)["data"]  # type: ignore[arg-type]


def array(data: np.ndarray) -> Any:
    data = np.array(json.loads(data)["data"])
    return data.tolist()


def optional(data: Optional[dict]) -> Any:  # noqa: UP045
    body = data
    return json.loads(body)["data"]  # type: ignore[arg-type]


def asks(data: list) -> Any:
    if isinstance(data, (str, bytes)):
        data = json.loads(data)["data"]
    return data


def passes_on(data: dict) -> Any:
    return _decode("x", data)


def _decode(kind: str, text: Any) -> Any:
    return json.loads(text)["data"]


def frame(data: pd.DataFrame) -> Any:
    return pd.read_json(io.StringIO(data))["data"].tolist()  # type: ignore[call-overload]


def literal(data: dict) -> Any:
    return ast.literal_eval(data)["data"]  # type: ignore[arg-type]


class Model:
    def run(self, data: dict) -> Any:
        return json.loads(data)["data"]  # type: ignore[arg-type]


@pytest.mark.parametrize("run", [plain, array, optional, asks, passes_on, frame, literal, Model().run], ids=range(8))
def test_a_run_that_parses_its_text_gets_text(run: Callable[..., Any]) -> None:
    script = script_of(run)
    assert script.mode == "text"
    assert "parses the text of the body itself (line" in script.warnings[0] and ": str" in script.warnings[0]
    response = Scorer(script).score(Request(headers={"content-type": "application/json"}, body=b'{"data": [1, 2]}'))
    assert (response.status, response.body) == (200, b"[1,2]")


def typed(data: dict) -> Any:
    return {key: json.loads(value) for key, value in data.items()}


def fields(data: dict) -> Any:
    return data["text"].split()


def replaced(data: pd.DataFrame) -> Any:
    return data.replace(1, 2)


@pytest.mark.parametrize("run", [typed, fields, replaced], ids=range(3))
def test_a_hint_that_is_meant_stays(run: Callable[..., Any]) -> None:
    assert script_of(run).mode == "object"


def with_default(raw_data, top=2):  # type: ignore[no-untyped-def]
    return json.loads(raw_data)["data"][:top]


def with_hints(raw_data: str, top: int = 2, *, threshold: float = 0.5) -> Any:
    return _decode("x", raw_data)


@pytest.mark.parametrize("run", [with_default, with_hints])
def test_parameters_beside_a_text_that_is_parsed_keep_their_defaults(run: Callable[..., Any]) -> None:
    script = script_of(run)
    assert script.mode == "text" and [parameter.name for parameter in script.parameters] == ["raw_data"]
    assert "'raw_data' is text, as in v1, and top" in script.warnings[0] and "cannot be sent" in script.warnings[0]
    response = Scorer(script).score(Request(headers={"content-type": "application/json"}, body=b'{"data": [1, 2]}'))
    assert (response.status, response.body) == (200, b"[1,2]")


def required(raw_data: str, top: int) -> Any:
    return json.loads(raw_data)["data"][:top]


def words(text: str, top: int = 2) -> Any:
    return text.strip().split()[:top]


def picture(image: str, top: int = 2) -> Any:
    return base64.b64decode(image)[:top]


@pytest.mark.parametrize("run", [required, words, picture])
def test_parameters_of_an_object_stay(run: Callable[..., Any]) -> None:
    assert script_of(run).mode == "object"
