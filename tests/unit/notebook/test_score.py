"""The line of `%score`."""

from __future__ import annotations

import json
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.lib.pretty import pretty

from mldeploy_jupyter.commands import UsageError
from mldeploy_jupyter.notebook.dispatch import run_magic
from mldeploy_jupyter.notebook.magics import magics
from mldeploy_jupyter.notebook.score import LIMIT, SHOWN, shorten_answer, split_line
from mldeploy_jupyter.notebook.session import Session


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("churn X[:3]", ["churn", "--", "X[:3]"]),
        ('churn {"data": [[1.0, -2]]}', ["churn", "--", '{"data": [[1.0, -2]]}']),
        ("churn -1.5", ["churn", "--", "-1.5"]),
        ("churn --data 'my file.json'", ["churn", "--data", "my file.json"]),
        ("--show-python churn x + 1", ["--show-python", "churn", "--", "x + 1"]),
        ("churn x --show-python", ["--show-python", "churn", "--", "x"]),
        ("churn", ["churn"]),
        ("", []),
        ("--help", ["--help"]),
    ],
)
def test_the_expression_is_one_word(line: str, words: list[str]) -> None:
    assert split_line(line) == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('-w other churn {"data": [1, 2]}', ["-w", "other", "churn", "--", '{"data": [1, 2]}']),
        ("churn -w 'my folder' x + 1", ["-w", "my folder", "churn", "--", "x + 1"]),
        ('--path=../b --show-python churn "a" + b', ["--path", "../b", "--show-python", "churn", "--", '"a" + b']),
        ("churn -w", ["churn", "-w"]),
    ],
)
def test_a_workspace_may_be_named_before_the_expression(line: str, words: list[str]) -> None:
    assert split_line(line) == words


@pytest.mark.parametrize(
    ("before", "cell", "line"),
    [("", "{,}", 2), ("", "\n\n{,}", 4), ("", '\n{"a": 1,\n  \n "b": x}\n\n', 5), ("\n\n", "\n{,}", 5)],
)
def test_an_error_in_the_json_names_the_line_of_the_cell(session: Session, before: str, cell: str, line: int) -> None:
    session.shell.history_manager = SimpleNamespace(input_hist_raw=[f"{before}%%score churn\n{cell}"])
    magic = next(magic for magic in magics(session) if magic.name == "score")
    with pytest.raises(UsageError, match=f"at line {line} column"):
        run_magic(session, magic, "churn", cell)


@pytest.mark.parametrize(
    "value", ["ä" * (LIMIT + 1), [[1.5] * 1000] * 1000, {"rows": ["x" * LIMIT]}], ids=["str", "list", "dict"]
)
def test_a_long_answer_shows_its_beginning_and_is_whole(value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    answer = shorten_answer(value, text)
    shown = pretty(answer)
    assert shown.startswith(text[:SHOWN] + "…\n(the beginning of an answer of ")
    assert len(shown) < SHOWN + 100
    assert answer == value
    assert isinstance(answer, type(value))
    assert json.dumps(answer) == json.dumps(value)
    assert type(pickle.loads(pickle.dumps(answer))) is type(value)


@pytest.mark.parametrize("value", ["x" * LIMIT, [1], {}, 1.5, None])
def test_other_answers_stay_as_they_are(value: Any) -> None:
    assert shorten_answer(value, value if isinstance(value, str) else json.dumps(value)) is value
