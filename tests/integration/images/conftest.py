"""An engine that images are made in: one of the tests, so that they may look at everything that it has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter.docker_engine import open_engine
from tests.engines.docker import OwnEngine
from tests.integration.images.builds import Build


@pytest.fixture(scope="session")
def building_engine() -> Iterator[OwnEngine]:
    with OwnEngine() as engine:
        yield engine


@pytest.fixture
def build(building_engine: OwnEngine, base_image: str, tmp_path: Path) -> Iterator[Build]:
    made = Build(open_engine({"DOCKER_HOST": building_engine.host}), tmp_path, base_image)
    yield made
    made.engine.close()
