"""Exceptions as data."""

from __future__ import annotations

import pytest

from mldeploy_jupyter.serving.ipc.failure import exception_data, from_exception, traceback_text


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_exception_that_cannot_be_printed_is_still_a_failure() -> None:
    failure = from_exception(Unprintable(), "init")
    assert failure["code"] == "init-raised"
    assert "__str__ of the exception failed" in failure["message"]


def test_causes_are_followed_only_so_far_and_syntax_errors_have_their_place() -> None:
    error: BaseException = ValueError("last")
    for number in range(20):
        error = _chained(number, error)
    depth, data = 0, exception_data(error)
    while data["cause"]:
        depth, data = depth + 1, data["cause"]
    assert depth == 5
    with pytest.raises(SyntaxError) as caught:
        compile("def f(:\n", "score.py", "exec")
    assert exception_data(caught.value)["syntax"] == {"file": "score.py", "line": 1, "column": 7, "text": "def f(:"}
    assert "score.py" in traceback_text(caught.value)


def _chained(number: int, cause: BaseException) -> BaseException:
    error = ValueError(str(number))
    error.__cause__ = cause
    return error
