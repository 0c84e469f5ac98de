"""`migrate()` for a test, undone after every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mldeploy_jupyter.azureml import migrate


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    migrate(undo=True, quiet=True)


@pytest.fixture
def migrated() -> None:
    migrate(quiet=True)
