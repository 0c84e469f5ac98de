"""The Docker target without its engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.targets.base import TargetContext
from mldeploy_jupyter.targets.docker.target import DockerTarget


@pytest.mark.parametrize(("revision", "expected"), [(0, False), (2, True)])
def test_without_its_engine_only_what_has_been_live_may_write_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: int, expected: bool
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    target = DockerTarget(TargetContext("w", tmp_path, {}), wait=lambda seconds: None)
    assert target._may_write(ServiceRecord("svc", "docker", revision=revision)) is expected
