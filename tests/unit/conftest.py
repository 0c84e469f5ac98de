"""A store that a test leaves open is its own error; on Python 3.13 it would be that of any later test.

Hypothesis has no deadlines: how long an example takes depends on what else the machine does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


@pytest.fixture(autouse=True)
def _stores_are_closed() -> Iterator[None]:
    """Fails a test that opened a `Store` of its own and did not close it. Those of workspaces stay open, as they do."""
    yield
    database: Any = sys.modules.get("mldeploy_jupyter.core.store.database")
    folder: Any = sys.modules.get("mldeploy_jupyter.core.workspace.folder")
    if database is None:
        return
    shared = [getattr(opened, "_database", None) for opened in (folder._opened.values() if folder else ())]
    engines = {opened.engine for opened in shared if opened is not None}
    idle = [engine for engine in database._engines if engine not in engines and _idle_connections(engine)]
    for engine in idle:
        engine.dispose()  # so that only this test fails
    assert not idle, f"a store is left open: {[str(engine.url) for engine in idle]}"


def _idle_connections(engine: Any) -> int:
    pool = engine.pool
    return pool.checkedin() if hasattr(pool, "checkedin") else 0  # a NullPool keeps none
