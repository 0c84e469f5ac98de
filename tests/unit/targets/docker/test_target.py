"""What is read of the engine's own check of a container's health."""

from __future__ import annotations

from pathlib import Path

import pytest

from mldeploy_jupyter.core.records import ServiceRecord
from mldeploy_jupyter.targets.base import TargetContext
from mldeploy_jupyter.targets.docker.target import STOPPED_SECONDS, DockerTarget, _GoingOn, _read_last_exit


def test_why_a_worker_died_is_read_from_the_last_check():
    older = {"Output": 'Live\n{"pid": 1}\n'}
    newer = {"Output": 'Live\n{"code": "killed", "message": "killed", "pid": 7, "time": "t"}\n'}
    assert _read_last_exit({"Log": [older, newer]}) == {"code": "killed", "message": "killed", "pid": 7, "time": "t"}
    assert _read_last_exit({"Log": [older, {"Output": "Live\n"}]}) is None
    assert _read_last_exit({"Log": [{"Output": "{"}]}) is None
    assert _read_last_exit({}) is None


def test_a_log_that_is_followed_survives_a_moment_without_a_container():
    now, runs = [0.0], [True]
    going_on = _GoingOn(lambda: runs[0], lambda: now[0])
    assert going_on()
    runs[0], now[0] = False, 2.0
    assert going_on()
    runs[0], now[0] = True, 3.5  # the engine has started it again
    assert going_on()
    runs[0], now[0] = False, 3.5 + STOPPED_SECONDS + 1
    assert not going_on()


@pytest.mark.parametrize(("revision", "expected"), [(0, False), (2, True)])
def test_without_its_engine_only_what_has_been_live_may_write_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, revision: int, expected: bool
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    target = DockerTarget(TargetContext("w", tmp_path, {}), wait=lambda seconds: None)
    assert target._may_write(ServiceRecord("svc", "docker", revision=revision)) is expected
