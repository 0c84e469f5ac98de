"""The timer that one thread sets and another waits for."""

from __future__ import annotations

import os
import select

import pytest

from mldeploy_jupyter.serving.system import kernel_timer
from mldeploy_jupyter.serving.system.kernel_timer import KernelTimer

pytestmark = pytest.mark.skipif(not kernel_timer.AVAILABLE, reason="needs timerfd, which Linux has")


def is_readable(timer: KernelTimer, milliseconds: int) -> bool:
    poll = select.poll()
    poll.register(timer.fd, select.POLLIN)
    return bool(poll.poll(milliseconds))


def test_it_expires_once_and_can_be_set_again() -> None:
    timer = KernelTimer()
    try:
        assert not is_readable(timer, 0)
        for seconds in (0.001, 0.0):
            timer.set(seconds)
            assert is_readable(timer, 60_000)
            timer.clear()
            assert not is_readable(timer, 20)
        timer.clear()
    finally:
        os.close(timer.fd)


def test_to_set_it_puts_it_off() -> None:
    timer = KernelTimer()
    try:
        timer.set(0.001)
        assert is_readable(timer, 60_000)
        timer.set(3600.5)
        assert not is_readable(timer, 20)
    finally:
        os.close(timer.fd)
