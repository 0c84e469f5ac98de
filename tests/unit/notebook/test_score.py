"""The line of `%score`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mldeploy_jupyter.commands import UsageError
from mldeploy_jupyter.notebook.dispatch import run_magic
from mldeploy_jupyter.notebook.magics import magics
from mldeploy_jupyter.notebook.score import split_line
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
