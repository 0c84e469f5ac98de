"""A workspace to register environments in."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.api.workspace import Workspace


@pytest.fixture
def workspace(folder: Path) -> Workspace:
    return Workspace.create("test")
