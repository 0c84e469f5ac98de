"""Fixtures of the scoring server's integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.serving.supervised import Supervised


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    """A running supervisor without a revision."""
    service = Supervised(tmp_path).start()
    yield service
    service.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    """One supervisor for tests that leave it as it was."""
    service = Supervised(tmp_path_factory.mktemp("shared")).start()
    yield service
    service.end()
