"""Which event loop an `async def run` gets."""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from mldeploy_jupyter.serving.worker.event_loops import new_script_loop


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "score.py"
    path.write_text("async def run(data): return data\n")
    return path


@pytest.fixture
def other_policy() -> Iterator[None]:
    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
    yield
    asyncio.set_event_loop_policy(before)


def is_standard(script: Path) -> bool:
    loop = new_script_loop(script)
    loop.close()
    return isinstance(loop, asyncio.BaseEventLoop)


def test_a_script_gets_a_loop_of_uvloop(script: Path) -> None:
    loop = new_script_loop(script)
    loop.close()
    assert isinstance(loop, uvloop.Loop) and not is_standard(script)


def test_a_script_that_imports_nest_asyncio_in_run_gets_the_standard_loop(script: Path) -> None:
    script.write_text("async def run(data):\n    import nest_asyncio\n    nest_asyncio.apply()\n")
    assert is_standard(script)


def test_a_script_whose_helper_imports_nest_asyncio_gets_the_standard_loop(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nest_asyncio", types.ModuleType("nest_asyncio"))
    assert is_standard(script)


def test_a_script_that_sets_a_policy_gets_its_loop(script: Path, other_policy: None) -> None:
    assert is_standard(script)


def test_a_script_that_is_gone_gets_a_loop(script: Path) -> None:
    script.unlink()
    assert not is_standard(script)
