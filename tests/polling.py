"""How tests wait for what another process or thread does."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import psutil

Value = TypeVar("Value")


def wait_until(condition: Callable[[], Value], seconds: float = 60.0, what: str | Callable[[], str] = "") -> Value:
    """Returns the first true value of `condition`, asked a hundred times a second.

    Fails after `seconds`, with `what` was waited for: a text, or a function that describes the state at the end.
    """
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        is_over = time.monotonic() > deadline  # before the last look: this process, too, may have stood still
        if value := condition():
            return value
        if is_over:
            raise AssertionError(f"waited {seconds:g} s for {what() if callable(what) else what or condition}")
        pause.wait(0.01)


def wait_for_value(read: Callable[[], Value], wanted: Value, seconds: float = 60.0) -> None:
    """Waits until `read` returns what is wanted. Fails after `seconds` with what it returns instead."""
    wait_until(lambda: read() == wanted, seconds, lambda: f"{wanted!r}: it is {read()!r}")


def stop_process(pid: int) -> None:
    """Stops a process by a signal. On a busy machine it must get a processor before it stands still."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, what=f"process {pid} to stop")
