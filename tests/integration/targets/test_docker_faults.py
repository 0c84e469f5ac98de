"""Faults of the engine below a service: away, restarted, not permitted, of another context; and Podman in its place.

Numbers are those of the list of faults that the project keeps.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mldeploy_jupyter.core.diagnosis import explain
from mldeploy_jupyter.docker_engine import EngineError, open_engine
from mldeploy_jupyter.docker_engine.engine import REQUEST_SECONDS
from mldeploy_jupyter.targets import TargetFailure
from mldeploy_jupyter.targets.docker import names
from tests.engines.docker import OwnEngine, RunningEngine
from tests.engines.podman import PodmanEngine
from tests.integration.targets.test_docker import ANSWER, SLOW, Service
from tests.polling import stop_process, wait_for_value, wait_until

pytestmark = [pytest.mark.engines, pytest.mark.slow]


@contextmanager
def deployed_on(tmp_path: Path, base: str) -> Iterator[Service]:
    engine = open_engine()
    service = Service(tmp_path, engine, base)
    try:
        yield service
    finally:
        service.close()
        engine.close()


# Fault 3: the engine is restarted while a log is followed, and during a rollout


def test_fault_3_a_log_is_followed_through_a_restart_of_the_engine(
    own_docker_engine: OwnEngine, base_image: str, tmp_path: Path
) -> None:
    with deployed_on(tmp_path, base_image) as service:
        service.apply(ANSWER.format(1), 1)
        lines: list[str] = []
        thread = threading.Thread(
            target=lambda: lines.extend(
                line.text for line in service.target.logs(service.record, tail=None, follow=True)
            )
        )
        thread.start()
        service.answer()
        wait_until(lambda: any("scored" in line for line in lines) or None)
        own_docker_engine.restart()
        service.wait_for("Live")  # the engine starts listener and container again; they serve what they served
        assert service.answer() == 1
        wait_until(lambda: sum("scored" in line for line in lines) == 2, 60, lambda: "\n".join(lines))
        assert any("the container engine was unavailable" in line for line in lines)
        service.target.control(service.record, "stop", service.emit)
        thread.join(60)
        assert not thread.is_alive()
        kept = [line.text for line in service.target.logs(service.record, tail=None, follow=False)]
        assert sum("scored" in line for line in kept) == 2


def test_fault_3_a_deployment_during_a_restart_says_so_and_the_next_converges(
    own_docker_engine: OwnEngine, base_image: str, tmp_path: Path
) -> None:
    with deployed_on(tmp_path, base_image) as service:
        service.apply(ANSWER.format(1), 1)
        slow = service.with_image(service.plan(SLOW, 2))
        good = service.with_image(service.plan(ANSWER.format(3), 3))
        failures: list[TargetFailure] = []

        def apply() -> None:
            try:
                service.apply_plan(slow)
            except TargetFailure as failure:
                failures.append(failure)

        thread = threading.Thread(target=apply)
        thread.start()
        wait_until(lambda: len([one for one in service.containers(names.SERVICE_ROLE) if one.is_running]) == 2)
        own_docker_engine.restart()
        thread.join(60)
        assert not thread.is_alive() and failures
        assert failures[0].failure["code"] in ("engine-lost", "engine-absent", "container-exited", "killed")
        service.wait_for("Live")
        assert service.answer() == 1
        service.apply_plan(good)
        assert service.answer() == 3
        wait_until(lambda: len(service.containers(names.SERVICE_ROLE)) == 1)


def test_fault_3_an_engine_that_hangs_stops_nobody(
    own_docker_engine: OwnEngine, base_image: str, tmp_path: Path
) -> None:
    with deployed_on(tmp_path, base_image) as service:
        service.apply(ANSWER.format(1), 1)
        service.target.status(service.record)
        assert own_docker_engine._process is not None
        pid = own_docker_engine._process.pid
        stop_process(pid)
        try:
            began = time.monotonic()
            status = service.target.status(service.record)
            list(service.target.logs(service.record, tail=None, follow=False))
            assert time.monotonic() - began < REQUEST_SECONDS
            assert status.state == "Unhealthy" and status.failure is not None
            assert status.failure["code"] == "engine-silent"
        finally:
            os.kill(pid, signal.SIGCONT)
        service.wait_for("Live")


# Fault 4: no engine, no permission, another context


def test_fault_4_without_an_engine_a_deployment_ends_at_once_and_offers_the_process(
    docker_engine: RunningEngine, base_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with deployed_on(tmp_path, base_image) as service:
        plan = service.plan(ANSWER.format(1), 1)
        with monkeypatch.context() as patch:
            patch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
            with pytest.raises(TargetFailure) as failure:
                service.target.check(plan)
        cause = explain(failure.value.failure, script=None, settings={"service": "churn"}, models=[])
        assert cause.code == "engine-absent" and "--engine process" in cause.hint and "DOCKER_HOST" in cause.hint


def test_fault_4_without_permission_the_group_is_named(docker_engine: RunningEngine) -> None:
    if os.getuid() != 0:
        pytest.skip("another user is taken for it, which only root can")
    socket_path = docker_engine.host.removeprefix("unix://")
    code = (
        "import os, json; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "from mldeploy_jupyter.docker_engine import open_engine, EngineError\n"
        "try: open_engine()\n"
        "except EngineError as error: print(json.dumps(error.failure))\n"
    )
    imported = "import mldeploy_jupyter.docker_engine, docker, grp, pwd; "  # while its files may be read
    environ = {**os.environ, "DOCKER_HOST": f"unix://{socket_path}"}
    done = subprocess.run([sys.executable, "-c", imported + code], env=environ, capture_output=True, text=True)
    assert '"code": "engine-permission"' in done.stdout, done.stderr
    assert '"group": "docker"' in done.stdout or os.stat(socket_path).st_gid == 0


def test_fault_4_a_context_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONTEXT", "lab")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    with pytest.raises(EngineError) as error:
        open_engine()
    cause = explain(error.value.failure, script=None, settings={}, models=[])
    assert cause.what == "there is no Docker context lab"


# Podman instead of Docker


def test_podman_serves_updates_and_deletes(
    podman_engine: PodmanEngine, base_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    podman_engine.run("pull", "--tls-verify=false", base_image)
    monkeypatch.setenv("DOCKER_HOST", podman_engine.host)
    with deployed_on(tmp_path, base_image) as service:
        assert service.engine.kind == "podman"
        service.apply(ANSWER.format(1), 1)
        assert service.answer() == 1
        service.apply(ANSWER.format(2), 2)
        assert service.answer() == 2
        service.reload(ANSWER.format(3), 3)
        assert service.answer() == 3

        def scored() -> int:
            log = service.target.logs(service.record, tail=None, follow=False)
            return sum("scored" in line.text for line in log)

        wait_for_value(scored, 3)  # Podman's log has a line a moment after it was printed
        service.target.control(service.record, "stop", service.emit)
        assert service.target.status(service.record).state == "Stopped"
        service.target.control(service.record, "start", service.emit)
        assert service.answer() == 3
        service.target.delete(service.record, service.emit)
        wait_until(lambda: service.leftovers()["containers"] == [])
        assert service.leftovers()["volumes"] == []
