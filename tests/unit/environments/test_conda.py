"""Solving and installing with rattler; `tests/integration/environments` does it for real."""

from __future__ import annotations

import asyncio

import pytest

from mldeploy_jupyter.environments import conda


def test_work_of_rattler_can_be_cancelled() -> None:
    ended: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("yes")

    def cancel() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conda.run_cancellable(endless(), cancel)
    assert ended == ["yes"]
