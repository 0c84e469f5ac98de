"""Signals as calls in a thread of their own.

Python runs a handler in the main thread only, and that may sleep on: the kernel gives a signal to any thread while the
main one has another pending. And a handler is interrupted by the next signal, so one that takes a lock may wait for
itself. So the handlers here do nothing; the interpreter's C code writes each signal's number into a socket at once, in
whichever thread it arrives, and a thread reads them there.
"""

from __future__ import annotations

import operator
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any


def listen(tasks: Mapping[signal.Signals, Callable[[], Any]]) -> None:
    """From now on calls a signal's task when it comes; several that come together may be one. For the main thread.

    The tasks must return soon: they are called one after the other.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    for number in tasks:
        signal.signal(number, _nothing)

    def read(writer: socket.socket = writer) -> None:  # which stays open as long as this runs
        while numbers := reader.recv(65536):
            for number in set(numbers):
                task = tasks.get(number)  # type: ignore[call-overload]
                if task is not None:
                    task()

    threading.Thread(target=read, daemon=True, name="signals").start()


_nothing: Any = operator.is_  # a function in C with a handler's two arguments: nothing can interrupt it
