"""Whatever fails while a body is read is answered: an exception never leaves the scorer, or the worker would end."""

from __future__ import annotations

import json

import pytest

from mldeploy_jupyter.serving.scoring.messages import Request
from mldeploy_jupyter.serving.scoring.scorer import Scorer
from tests.fuzz.scripts import SCRIPTS
from tests.fuzz.wire import script_of

JSON = {"content-type": "application/json"}
VALIDATOR = """
    import pydantic
    class Person(pydantic.BaseModel):
        age: int
        @pydantic.field_validator("age")
        def check(cls, value): return {1: "one"}[value]
    def init(): pass
    def run(data: Person): return 1
"""


def answer(scorer: Scorer, body: bytes, headers: dict | None = None) -> tuple[int, dict]:
    response = scorer.score(Request(headers=headers or JSON, body=body, id="r"))
    return response.status, json.loads(response.body)["error"]


@pytest.mark.parametrize("name", ["array", "loose"])
@pytest.mark.parametrize("levels", [33, 65, 150])
def test_more_dimensions_than_an_array_can_have_are_refused(name: str, levels: int) -> None:
    status, error = answer(Scorer(script_of(SCRIPTS[name])), b'{"data": %b1%b}' % (b"[" * levels, b"]" * levels))
    assert (status, error["code"], error["where"]) == (422, "does-not-fit", "data")


def test_as_many_dimensions_as_an_array_can_have_are_accepted() -> None:
    scorer = Scorer(script_of(SCRIPTS["array"]))
    assert scorer.score(Request(headers=JSON, body=b'{"data": %b1%b}' % (b"[" * 32, b"]" * 32))).body == b"1"


def test_a_value_too_deep_for_pydantic_is_refused_as_too_deep() -> None:
    body = b'{"data": {"name": %b1%b, "age": 1}}' % (b"[" * 600, b"]" * 600)
    assert answer(Scorer(script_of(SCRIPTS["person"])), body)[1]["code"] == "too-deep"


def test_a_failing_validator_is_a_failure_of_the_script(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = script_of(VALIDATOR)
    monkeypatch.setattr(script.module, "__file__", "score.py", raising=False)
    status, error = answer(Scorer(script), b'{"data": {"age": 7}}')
    assert (status, error["code"]) == (500, "script-failed")
    assert "KeyError: 7" in capsys.readouterr().err


def test_a_defect_of_the_server_is_named_as_such_and_logged(capsys: pytest.CaptureFixture[str]) -> None:
    scorer = Scorer(script_of(SCRIPTS["ints"]))
    status, error = answer(scorer, b"{}", {**JSON, "content-encoding": 5})
    assert (status, error["code"]) == (500, "server-failed")
    assert "internal error of the server: AttributeError" in capsys.readouterr().err
