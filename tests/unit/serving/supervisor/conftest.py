"""Fixtures of the supervisor's unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.serving.supervisor.fakes import FakePool


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[FakePool]:
    """A pool whose workers are ready as soon as they are started."""
    pool = FakePool(tmp_path)
    yield pool
    pool.refuse_spawns()
    pool.stop(0)
