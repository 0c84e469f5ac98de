"""Handles signals in a thread of their own.

Python runs signal handlers in the main thread only, which may sleep on: the kernel delivers a signal to any thread
while the main thread has another one pending. A handler can also be interrupted by the next signal, so one that takes a
lock may deadlock with itself. Here the handlers do nothing. The interpreter's C code writes the number of each signal
into a socket, in the thread where the signal arrives, and a thread reads the socket.
"""

from __future__ import annotations

import operator
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any


def handle_signals(tasks: Mapping[signal.Signals, Callable[[], Any]]) -> None:
    """Calls a signal's task, in one thread, each time the signal comes. To be called from the main thread.

    Tasks must return soon, because the next one waits. A signal that comes several times in a row may be handled once.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    for number in tasks:
        signal.signal(number, _do_nothing)

    def read(writer: socket.socket = writer) -> None:  # the default keeps the writer open while this runs
        while numbers := reader.recv(65536):
            for number in set(numbers):
                task = tasks.get(number)  # type: ignore[call-overload]
                if task is not None:
                    task()

    threading.Thread(target=read, daemon=True, name="signals").start()


_do_nothing: Any = operator.is_  # a C function with a handler's two parameters: no signal can interrupt it
