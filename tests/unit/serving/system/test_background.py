"""Results of functions that run in a thread."""

from __future__ import annotations

import threading

import pytest

from mldeploy_jupyter.serving.system.background import run_in_background


def test_the_result_is_waited_for() -> None:
    go = threading.Event()
    result = run_in_background(lambda: go.wait(10) and "done")
    go.set()
    assert result() == "done" == result()


def test_an_exception_is_raised_where_the_result_is_needed() -> None:
    result = run_in_background(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        result()
