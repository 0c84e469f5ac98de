"""A bounded pool of threads that runs what may have to wait, beside the server's event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

IDLE_SECONDS = 30.0  # after which a thread without work ends


class TooBusy(Exception):
    """As many calls wait as may."""


class Workers:
    """At most `threads` threads, which end when there is nothing to do, and with the process: it waits for none."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._name, self._threads, self._max_waiting = name, threads, waiting
        self._changed = threading.Condition()
        self._waiting: deque[Callable[[], None]] = deque()
        self._running = self._idle = 0

    async def run(self, function: Callable[[], Any], *, always: bool = False) -> Any:
        """The result of the function, which is called in one of the threads. Raises its error.

        Raises `TooBusy` when too many wait, unless it has to run `always`.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def tell(result: Any, error: BaseException | None) -> None:
            if future.done():  # the request was given up
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        def work() -> None:
            result, failure = None, None
            try:
                result = function()
            except Exception as error:
                failure = error
            try:
                loop.call_soon_threadsafe(tell, result, failure)
            except RuntimeError:
                pass  # the server has ended meanwhile

        self._submit(work, always)
        return await future

    def _submit(self, work: Callable[[], None], always: bool) -> None:
        with self._changed:
            # Each thread that is idle takes one of those that wait, as soon as it runs.
            if len(self._waiting) >= self._idle and self._running < self._threads:
                self._running += 1
                self._idle += 1
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            elif not always and len(self._waiting) >= self._max_waiting + self._idle:
                raise TooBusy
            self._waiting.append(work)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting, IDLE_SECONDS)
                self._idle -= 1
                if not self._waiting:
                    self._running -= 1
                    return
                work = self._waiting.popleft()
            work()
            with self._changed:
                self._idle += 1
