"""SIGKILL before any write of any operation: a look, a delete and a prune leave nothing, and the name works again.

In CI a few points of every operation; all of them with MLDEPLOY_KILL_EVERY=1 (any number N: every Nth point).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mldeploy_jupyter import Model, Webservice
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.deployment import launch
from mldeploy_jupyter.deployment.prune import prune_workspace
from mldeploy_jupyter.targets import supervisor_client
from tests.polling import wait_until

from .conftest import Site, live, update
from .killed_at_write import OPERATIONS, SUPERVISOR_LIMIT, SUPERVISOR_POINTS

DRIVER = Path(__file__).with_name("killed_at_write.py")

POINTS = 2  # of each operation in CI


class Driver:
    """The process that forks a child for every kill."""

    def __init__(self, site: Site) -> None:
        self._points = site.folder / "points"
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(DRIVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(f"{site.folder}\n")

    def run(self, operation: str, limit: int = 0) -> int:
        """Runs the operation up to that write point; without one to its end, and then returns its write points."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(operation, limit)
        self._process.stdin.write(f"{operation} {limit}\n")
        self._process.stdin.flush()
        status, points = json.loads(self._process.stdout.readline())
        # Two runs differ by a few points, so the last ones may lie behind the end of one.
        assert status in (0, 9) and (status == 9 or limit or points or operation == "runner"), (status, points)
        return int(points)

    def count_points(self, operation: str, site: Site) -> int:
        points = self.run(operation)
        if operation in ("deploy", "runner"):
            Webservice(site.ws, "svc").wait_for_deployment(timeout_sec=60)
        if operation != "runner":
            return points
        return int(wait_until(lambda: self._points.exists() and self._points.read_text()))

    def close(self) -> None:
        self._process.communicate(timeout=60)


@pytest.fixture
def driver(site: Site) -> Iterator[Driver]:
    (site.folder / "m.txt").write_text("model")
    Model.register(site.ws, str(site.folder / "m.txt"), "m")
    driver = Driver(site)
    yield driver
    driver.close()


def prepare(site: Site, operation: str) -> None:
    """Makes what the operation needs; every one but the first starts from nothing."""
    (site.folder / "m.txt").write_text(os.urandom(8).hex())
    if operation in ("deploy", "runner"):
        return
    site.script(1)
    service = live(site)
    if operation in ("rollback", "prune"):
        site.script(2)
        update(site, service)
        service.wait_for_deployment(timeout_sec=60)
    site.script(3)
    if operation == "start":
        service.stop()
    if operation == "prune":
        service.delete()


def look(site: Site) -> list[Webservice]:
    """The services, once none is in transition: a supervisor may be completing an update."""
    wait_until(lambda: all(service.state != "Transitioning" for service in Webservice.list(site.ws)))
    return Webservice.list(site.ws)


def check_that_it_heals(site: Site, operation: str) -> None:
    services = look(site)
    if operation in ("update", "rollback", "scale", "regen-key"):
        (service,) = services
        assert (service.state, service.run({})["answer"] in (1, 2, 3)) == ("Healthy", True)
    for service in services:
        service.delete()
    prune_workspace(site.ws.folder, keep_deployments=0, clock=lambda: time.time() + 8 * 86400)
    wait_until(lambda: site.processes() == [], what=lambda: f"processes are left: {site.processes()}")
    store, root = site.ws.folder.open_store(), site.ws.folder.root
    assert store.list_services() == [] and store.list_deployments() == []
    assert [model.id for model in Model.list(site.ws) if store.services_using(model.id)] == []
    for name in ("services", "deployments", "bundles", "artifacts/tmp"):
        assert not (root / name).exists() or os.listdir(root / name) == [], name
    left = [str(path.relative_to(root)) for path in root.rglob("*") if path.name.endswith(".tmp")]
    assert left == []
    registered = {digest for model in Model.list(site.ws) for digest, _ in model.record.files.values()}
    assert {path.name for path in (root / "artifacts" / "blobs").rglob("*") if path.is_file()} == registered


def choose_points(total: int, count: int = POINTS) -> list[int]:
    step = int(os.environ.get("MLDEPLOY_KILL_EVERY", "0"))
    if step:
        return list(range(1 + random.randrange(step), total + 1, step))
    return sorted(random.sample(range(1, total + 1), min(count, total)))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_kill_before_any_write_heals(site: Site, driver: Driver, operation: str) -> None:
    prepare(site, operation)
    total = driver.count_points(operation, site)
    check_that_it_heals(site, operation)
    for point in choose_points(total):
        prepare(site, operation)
        driver.run(operation, point)
        check_that_it_heals(site, operation)
    site.script(4)
    service = live(site)
    assert service.run({})["answer"] == 4


# Those in which the supervisor writes. New keys it only passes on.
OF_A_SUPERVISOR = ["deploy", "update", "rollback", "scale", "stop", "start", "delete"]


def run_with_supervisor(site: Site, operation: str, limit: int = 0) -> int:
    """Runs the operation to its end, however it ends, with a supervisor that dies at that write point.

    Returns how many points it came to.
    """
    print("supervisor", operation, limit)
    points, armed = site.folder / SUPERVISOR_POINTS, site.folder / SUPERVISOR_LIMIT
    points.unlink(missing_ok=True) if operation in ("deploy", "start") else os.truncate(points, 0)
    armed.write_text(str(limit))
    try:
        OPERATIONS[operation](site.ws)
        if operation == "deploy":
            Webservice(site.ws, "svc").wait_for_deployment(timeout_sec=60)
    except MldeployError:
        assert limit
    finally:
        armed.unlink()
    return points.stat().st_size


def check_that_the_service_comes_back(site: Site, operation: str) -> None:
    """What a look shows is true, and what was live once serves again, once it is started."""
    for service in look(site):
        if service.state != "Healthy":
            try:
                service.start()
            except MldeployError as error:
                assert "deploy it again" in error.hint and not any(r["outcome"] == "live" for r in service.revisions)
                continue
        assert (service.state, service.run({})["answer"] in (1, 2, 3)) == ("Healthy", True)
        assert len([line for line in site.processes() if "--folder" in line]) == 1
    assert operation in ("deploy", "delete") or look(site)


@pytest.mark.parametrize("operation", OF_A_SUPERVISOR)
def test_a_kill_of_the_supervisor_before_any_write_heals(
    site: Site, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setattr(launch, "RUNNER", ["-P", str(DRIVER)])
    monkeypatch.setattr(supervisor_client, "SUPERVISOR", ["-P", str(DRIVER)])
    (site.folder / "m.txt").write_text("model")
    Model.register(site.ws, str(site.folder / "m.txt"), "m")
    prepare(site, operation)
    total = run_with_supervisor(site, operation)
    assert total
    check_that_the_service_comes_back(site, operation)
    check_that_it_heals(site, "")
    for point in choose_points(total, 1):
        prepare(site, operation)
        run_with_supervisor(site, operation, point)
        check_that_the_service_comes_back(site, operation)
        check_that_it_heals(site, "")
