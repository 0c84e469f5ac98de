"""When a worker gives its free memory back."""

from __future__ import annotations

import asyncio
import os
from typing import cast

from mldeploy_jupyter.serving.ipc.scoreboard import ANSWERED, Scoreboard
from mldeploy_jupyter.serving.worker.idle_memory import INTERVAL, QUIET_LOOKS, WORTH, IdleMemory, measure_memory


class Worker:
    """A worker whose looks happen when the test says so. Returning memory brings its size to `least`."""

    def __init__(self) -> None:
        self.slot = Scoreboard().slot(1)
        self.busy, self.size, self.least, self.returned = False, WORTH, WORTH, 0
        self.waits: list[float] = []
        loop = cast(asyncio.AbstractEventLoop, self)
        self.memory = IdleMemory(loop, self.slot, lambda: self.busy, lambda: self.size, self.give_back)

    def call_later(self, seconds: float, function: object) -> None:
        self.waits.append(seconds)

    def give_back(self) -> None:
        self.returned += 1
        self.size = self.least

    def look(self, times: int) -> int:
        """How often memory has been returned after so many looks."""
        for _ in range(times):
            self.memory.look()
        return self.returned

    def answer(self, size: int) -> None:
        self.slot.fields[ANSWERED] += 1
        self.size = size


def test_memory_is_returned_once_after_a_quiet_time() -> None:
    worker = Worker()
    assert worker.look(100) == 0  # nothing but what loading the script took
    worker.answer(2 * WORTH)
    assert worker.look(QUIET_LOOKS) == 0
    assert worker.look(1) == 1
    assert worker.look(100) == 1
    worker.answer(50 * WORTH)
    assert worker.look(QUIET_LOOKS) == 1
    assert worker.look(1) == 2
    assert set(worker.waits) == {INTERVAL}


def test_requests_and_calls_put_it_off() -> None:
    worker = Worker()
    worker.look(1)
    for _ in range(20):
        worker.answer(50 * WORTH)
        assert worker.look(QUIET_LOOKS) == 0
    worker.busy = True  # a long call
    assert worker.look(100) == 0
    worker.busy = False
    assert worker.look(QUIET_LOOKS) == 1


def test_a_little_memory_is_not_worth_it() -> None:
    worker = Worker()
    worker.look(1)
    worker.answer(worker.least + WORTH - 1)
    assert worker.look(100) == 0


def test_a_process_knows_its_size() -> None:
    before, block = measure_memory(), os.urandom(32 * WORTH)
    assert 0 < before < measure_memory() - 31 * WORTH
    assert block
