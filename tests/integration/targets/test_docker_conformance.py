"""The conformance suite over the Docker target, with the real engine."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from docker.errors import ImageNotFound

from mldeploy_jupyter.docker_engine import open_engine
from mldeploy_jupyter.targets import Plan, Target, TargetContext
from mldeploy_jupyter.targets.docker.target import DockerTarget
from mldeploy_jupyter.testing import TargetConformance
from tests.engines.docker import RunningEngine
from tests.integration.targets.service_image import with_image

pytestmark = pytest.mark.engines


class TestDockerTarget(TargetConformance):
    target_name = "docker"

    @pytest.fixture(autouse=True)
    def with_images(self, docker_engine: RunningEngine, base_image: str, tmp_path: Path) -> Iterator[None]:
        self.base, self.cache = base_image, tmp_path / "cache"
        self.workspace = f"t{uuid.uuid4().hex}"  # others use the engine at the same time
        self.engine = open_engine()
        self.images: list[str] = []
        yield
        for image in self.images:
            with suppress(ImageNotFound):  # the target removed it with the service
                self.engine.client.images.remove(image, force=True)
        self.engine.close()

    def make_target(self, context: TargetContext) -> Target:
        return DockerTarget(replace(context, workspace_id=self.workspace))

    def prepare(self, plan: Plan) -> Plan:
        made = with_image(plan, self.engine, self.base, self.cache)
        self.images += [made.image] if made.image not in self.images else []
        return made
