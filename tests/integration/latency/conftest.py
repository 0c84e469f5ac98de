"""Services to measure, and runs that count however busy the machine of the tests is."""

from __future__ import annotations

import pytest

from tests.integration.deployment.conftest import site  # noqa: F401


@pytest.fixture
def any_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are valid, however late the load's own process was: tests share their cores."""
    monkeypatch.setattr("mldeploy_jupyter.latency.measuring.MAX_LAG", 60_000.0)
