"""Runs a function in a thread and returns its result, like a future of `concurrent.futures`, whose import is too heavy.

It imports `logging`, which a supervisor would keep in memory as long as the service lives.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def run_in_background(task: Callable[[], Result]) -> Callable[[], Result]:
    """Starts `task` in a thread. The returned function waits for it, and returns its result or raises its exception."""
    outcome: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(task())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result() -> Result:
        thread.join()
        if errors:
            raise errors[0]
        return outcome[0]

    return result
