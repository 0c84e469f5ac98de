"""The bounded pool of threads beside the server's event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mldeploy_jupyter.lab import workers
from mldeploy_jupyter.lab.workers import TooBusy, Workers
from tests.polling import wait_until


def run(main: Callable[[Workers], Awaitable[Any]], threads: int = 2, waiting: int = 3, name: str = "pool") -> Any:
    async def start() -> Any:
        return await asyncio.wait_for(main(Workers(name, threads, waiting)), 20)

    return asyncio.run(start())


def test_a_call_gives_its_result_or_raises_its_error() -> None:
    async def main(pool: Workers) -> None:
        assert await pool.run(lambda: 5) == 5
        with pytest.raises(ZeroDivisionError):
            await pool.run(lambda: 1 / 0)
        assert await pool.run(lambda: threading.current_thread().name) == "pool"

    run(main)


def test_no_more_run_or_wait_than_may() -> None:
    running, most, gate, lock = 0, 0, threading.Event(), threading.Lock()

    def work() -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(60)
        with lock:
            running -= 1
        return 1

    async def main(pool: Workers) -> None:
        calls = [asyncio.create_task(pool.run(work)) for _ in range(5)]
        await asyncio.to_thread(wait_until, lambda: running == 2)
        with pytest.raises(TooBusy):
            await pool.run(work)
        must = asyncio.create_task(pool.run(lambda: 2, always=True))
        await asyncio.sleep(0)
        gate.set()
        assert await asyncio.gather(*calls, must) == [1, 1, 1, 1, 1, 2]

    run(main)
    assert most == 2


def test_many_calls_at_once_are_all_answered() -> None:
    async def main(pool: Workers) -> None:
        for _ in range(50):
            assert sum(await asyncio.gather(*(pool.run(lambda: 1) for _ in range(40)))) == 40

    run(main, threads=4, waiting=100)


def test_a_call_whose_caller_is_gone_harms_no_other() -> None:
    gate = threading.Event()

    async def main(pool: Workers) -> None:
        call = asyncio.create_task(pool.run(lambda: gate.wait(60)))
        await asyncio.sleep(0)
        call.cancel()
        gate.set()
        assert await pool.run(lambda: 5) == 5

    run(main, threads=1)


def test_threads_end_when_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "IDLE_SECONDS", 0.01)

    async def main(pool: Workers) -> None:
        assert await pool.run(lambda: 1) == 1
        await asyncio.to_thread(wait_until, lambda: "short" not in {each.name for each in threading.enumerate()})
        assert await pool.run(lambda: 2) == 2

    run(main, name="short")
