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
        rung: list[float] = []
        done = asyncio.get_running_loop().create_future()
        begin = monotonic()

        def ring() -> None:
            rung.append(monotonic() - begin - 0.003 * (len(rung) + 1))
            if len(rung) < 20:
                clock.set(begin + 0.003 * (len(rung) + 1))
            else:
                done.set_result(None)

        clock = Alarm(asyncio.get_running_loop(), ring, exact)
        clock.set(begin + 0.003)
        await asyncio.wait_for(done, 10)
        clock.close()
        assert min(rung) >= 0
        assert sorted(rung)[10] < 0.01  # on a busy machine; a quiet one has 2 us

    on_a_loop(check)


@pytest.mark.parametrize("platform", ["linux", "another"])
def test_a_time_that_is_over_rings_at_once_and_one_that_was_replaced_never(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarm.sys, "platform", platform)

    async def check() -> None:
        loop = asyncio.get_running_loop()
        rung: list[float] = []
        clock = Alarm(loop, lambda: rung.append(monotonic()))
        clock.set(monotonic() - 5)
        await asyncio.sleep(0.02)
        assert len(rung) == 1
        clock.set(monotonic() + 0.001)
        clock.set(monotonic() + 3600)
        await asyncio.sleep(0.02)
        assert len(rung) == 1
        clock.close()
        clock.close()

    on_a_loop(check)
