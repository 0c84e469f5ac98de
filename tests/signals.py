"""A signal that ends the tests is handled as Ctrl-C is: fixtures end what they have started."""

from __future__ import annotations

import os
import signal
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)


def pytest_sessionstart() -> None:
    process = os.getpid()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:  # a fork of a test
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        for one in ENDING:  # a terminal that closes and `tests.halves` both send one; the second must not end the end
            signal.signal(one, lambda *_: None)
        raise KeyboardInterrupt

    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` ignores SIGHUP
            signal.signal(number, interrupt)
