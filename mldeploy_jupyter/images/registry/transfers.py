"""Several transfers at a time, with the progress of all of them as events."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from mldeploy_jupyter.images.types import Emit

WORKERS = 6  # transfers at a time: enough to fill a line whose other end answers late

EVERY = 0.5  # seconds between two events of progress

RATE_SECONDS = 10.0  # of transfer from which the remaining time is estimated

Item = TypeVar("Item")
Result = TypeVar("Result")


class Progress:
    """Counts the bytes of all transfers, and emits an event twice a second. Safe to use from several threads."""

    def __init__(
        self, emit: Emit, stage: str, doing: str, total: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._emit, self._stage, self._doing, self._clock = emit, stage, doing, clock
        self.total, self.done = total, 0
        self._lock = threading.Lock()
        self._last = clock()
        self._history = deque([(self._last, 0)])

    def add(self, count: int) -> None:
        """Some bytes have moved; a negative number takes some back."""
        with self._lock:
            self.done += count

    def skip(self, count: int) -> None:
        """Some bytes need not move, since they are there already."""
        with self._lock:
            self.total -= count

    def tick(self) -> None:
        """Emits an event when it is time."""
        now = self._clock()
        if now - self._last < EVERY or not self.total:
            return
        self._last = now
        with self._lock:
            done, total = max(0, self.done), self.total
        self._history.append((now, done))
        while len(self._history) > 2 and now - self._history[0][0] > RATE_SECONDS:
            self._history.popleft()
        started, before = self._history[0]
        rate = max(1.0, (done - before) / (now - started))
        left = (total - done) / rate if done >= total / 100 else None  # the first bytes tell nothing
        text = f"{self._doing}: {megabytes(done)} of {megabytes(total)}"
        text += f", {remaining(left)} left" if left is not None else ""
        self._emit(
            self._stage,
            "progress",
            text,
            fraction=round(done / total, 4) if total else 1.0,
            bytes=done,
            total_bytes=total,
            seconds_left=None if left is None else round(left, 1),
        )


def run_parallel(
    items: Sequence[Item],
    work: Callable[[Item], Result],
    *,
    tick: Callable[[], object],
    stop: Callable[[], object],
    workers: int = WORKERS,
) -> list[Result]:
    """The results of `work` for all items, in their order. `tick` is called ten times a second; it may raise.

    At the first error, that of `tick` included, `stop` is called, which must end the other transfers, and the error is
    raised.
    """
    waiting = deque(enumerate(items))
    results: dict[int, Result] = {}
    errors: list[BaseException] = []
    changed = threading.Condition()

    def run() -> None:
        while True:
            with changed:
                if errors or not waiting:
                    return
                number, item = waiting.popleft()
            try:
                result = work(item)
            except BaseException as error:
                with changed:
                    errors.append(error)
                    changed.notify_all()
                return
            with changed:
                results[number] = result
                changed.notify_all()

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(workers, len(items)))]
    for thread in threads:
        thread.start()
    try:
        while len(results) < len(items):
            tick()
            with changed:
                if errors:
                    raise errors[0]
                changed.wait(0.1)
    except BaseException:
        with changed:
            waiting.clear()
        stop()
        raise
    return [results[number] for number in range(len(items))]


def megabytes(count: int) -> str:
    """A size for people: `12.3 MB`, or `4 kB` below a tenth of that."""
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{max(1, round(count / 1e3)) if count else 0} kB"


def remaining(seconds: float) -> str:
    """A duration for people: `8 s`, `3 min`."""
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"
