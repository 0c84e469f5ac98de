from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
import uvloop

from mldeploy_jupyter.latency.generator import alarm
from mldeploy_jupyter.latency.generator.alarm import Alarm


def on_a_loop(check: Callable[[], Any]) -> None:
    asyncio.run(check())
    uvloop.run(check())


@pytest.mark.parametrize("platform", ["linux", "another"])
@pytest.mark.parametrize("exact", [True, False])
def test_it_rings_at_each_time_and_never_before(platform: str, exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarm.sys, "platform", platform)

    async def check() -> None:
        late: list[float] = []
        done = asyncio.get_running_loop().create_future()
        wanted = monotonic() + 0.003

        def ring() -> None:
            nonlocal wanted
            late.append(monotonic() - wanted)
            if len(late) == 20:
                done.set_result(None)
                return
            wanted = monotonic() + 0.003  # from now: else one pause of the machine makes all that follow late
            clock.set(wanted)

        clock = Alarm(asyncio.get_running_loop(), ring, exact)
        clock.set(wanted)
        await asyncio.wait_for(done, 10)
        clock.close()
        assert min(late) >= 0
        assert sorted(late)[5] < 0.01  # on a busy machine; a quiet one has 2 us

    on_a_loop(check)


@pytest.mark.parametrize("platform", ["linux", "another"])
def test_a_time_that_is_over_rings_at_once_and_one_that_was_replaced_never(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarm.sys, "platform", platform)

    async def check() -> None:
        loop = asyncio.get_running_loop()
        rung: list[float] = []
        first = asyncio.Event()
        clock = Alarm(loop, lambda: (rung.append(monotonic()), first.set()))
        clock.set(monotonic() - 5)
        await asyncio.wait_for(first.wait(), 10)
        clock.set(monotonic() + 0.001)
        clock.set(monotonic() + 3600)
        await asyncio.sleep(0.02)
        assert len(rung) == 1
        clock.close()
        clock.close()

    on_a_loop(check)


def test_it_waits_in_a_busy_loop_for_a_tenth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        clock = Alarm(asyncio.get_running_loop(), lambda: None)
        for early, seconds, asked in [(5e-4, 1.0, 5e-4), (5e-4, 0.002, 2e-4), (5e-4, 3e-4, 1.5e-4), (1e-5, 1.0, 1e-5)]:
            monkeypatch.setattr(Alarm, "_early", early)
            clock.set(monotonic() + seconds)
            assert clock._asked == pytest.approx(asked, abs=2e-5), seconds
        clock.close()

    on_a_loop(check)


def test_how_early_it_asks_is_learned_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarm, "_count_cores", lambda: 1)
    monkeypatch.setattr(Alarm, "_early", 0.0)

    async def check() -> None:
        loop = asyncio.get_running_loop()
        rung = asyncio.Event()
        clock = Alarm(loop, rung.set)
        for _ in range(20):  # always too late
            rung.clear()
            clock.set(monotonic() - 1)
            await asyncio.wait_for(rung.wait(), 10)
        assert Alarm._early == alarm.MAX_EARLY_SHARED
        clock.close()

    on_a_loop(check)
