"""The line of `%score`."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.notebook.score import split_line


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
