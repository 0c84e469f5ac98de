"""Waiting for a deployment, over records in a real store and with a clock of the test's own."""

from __future__ import annotations

import io
from typing import Any

import pytest

from mldeploy_jupyter import deployment
from mldeploy_jupyter.api.webservices import deployments, waiting
from mldeploy_jupyter.api.workspace import Workspace
from mldeploy_jupyter.core import process_identity
from mldeploy_jupyter.core.errors import (
    DeploymentCancelled,
    DeploymentFailed,
    DeploymentInterrupted,
    DeploymentTimeout,
    WebserviceException,
)
from mldeploy_jupyter.core.journal.journal import Journal
from mldeploy_jupyter.core.journal.terminal import Clock
from mldeploy_jupyter.core.records import DeploymentRecord


class FakeTime:
    """Time that passes only while a caller sleeps; `on_sleep` is called each time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.on_sleep: Any = lambda: None

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.on_sleep()


@pytest.fixture
def clock() -> FakeTime:
    return FakeTime()


@pytest.fixture
def record(ws: Workspace) -> DeploymentRecord:
    """A deployment of `on-local` that this process runs."""
    identity = process_identity.identify_process()
    record = DeploymentRecord("d1", "on-local", "local", runner=identity)
    store = ws.folder.open_store()
    store.add_deployment(record)
    store.update_service("on-local", deployment_id="d1", state="Updating")
    store.leases.acquire("on-local", "d1", 60, identity)
    return record


def wait(ws: Workspace, clock: FakeTime, **options: Any) -> DeploymentRecord:
    times = Clock(monotonic=lambda: clock.seconds, sleep=clock.sleep)
    return waiting.wait_for_deployment(ws.folder, "on-local", "d1", clock=times, **options)


def end(ws: Workspace, state: str, **fields: Any) -> None:
    ws.folder.open_store().update_deployment("d1", state=state, **fields)


def test_it_returns_the_record_of_a_deployment_that_became_live(
    ws: Workspace, record: DeploymentRecord, clock: FakeTime
) -> None:
    deployments.unreported.add("d1")
    clock.on_sleep = lambda: end(ws, "live") if clock.seconds > 1 else None
    assert wait(ws, clock, timeout=5).state == "live"
    assert 1 < clock.seconds < 1.1
    assert "d1" not in deployments.unreported


def test_the_store_is_read_seldom_until_the_journal_tells_of_the_end(
    ws: Workspace, record: DeploymentRecord, clock: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, path = ws.folder.open_store(), deployment.journal_path(ws.folder, "d1")
    path.parent.mkdir(parents=True)
    journal, reads, seconds = Journal(path), [], 1.05
    journal.write("", "state", state="running")
    read = store.get_deployment

    def write_end() -> None:
        if clock.seconds > seconds + 0.01:
            end(ws, "live")
        elif clock.seconds > seconds:
            journal.write("", "state", state="live")

    monkeypatch.setattr(type(store), "get_deployment", lambda self, id: reads.append(clock.seconds) or read(id))
    clock.on_sleep = write_end
    assert wait(ws, clock).state == "live"
    assert clock.seconds < seconds + 0.02  # it did not wait for the next regular look
    assert sum(time < seconds for time in reads) <= 1 + 1.05 / waiting.POLL_SECONDS + 3  # three for the state's checks
    journal.close()


@pytest.mark.parametrize(
    ("state", "cause", "error", "why"),
    [
        ("cancelled", None, DeploymentCancelled, "revision 1 still serves"),
        ("interrupted", {"at": "environment"}, DeploymentInterrupted, "its runner process died in the stage"),
        ("failed", {"code": "busy", "what": "it is busy", "why": "really"}, DeploymentFailed, "really"),
    ],
)
def test_it_raises_how_the_deployment_ended(
    ws: Workspace, record: DeploymentRecord, clock: FakeTime, state: str, cause: Any, error: type[Exception], why: str
) -> None:
    end(ws, state, cause=cause)
    with pytest.raises(error, match=why):
        wait(ws, clock)
    assert clock.seconds == 0


@pytest.mark.parametrize("seconds", [0, 0.3, 2])
def test_the_time_limit_ends_the_waiting_only(
    ws: Workspace, record: DeploymentRecord, clock: FakeTime, seconds: float
) -> None:
    with pytest.raises(DeploymentTimeout, match=f"on-local was not live within {seconds:g} s"):
        wait(ws, clock, timeout=seconds)
    assert seconds <= clock.seconds < seconds + waiting.POLL_SECONDS
    running = ws.folder.open_store().get_deployment("d1")
    assert running is not None and running.state == "running"


def test_a_dead_runner_ends_the_waiting(ws: Workspace, record: DeploymentRecord, clock: FakeTime) -> None:
    ws.folder.open_store().leases.release("on-local", "d1")
    (ws.folder.deployments / "d1").mkdir(parents=True)
    with pytest.raises(DeploymentInterrupted, match="its runner process died; revision 1 still serves"):
        wait(ws, clock, timeout=5)
    assert clock.seconds < 5


def test_a_deployment_whose_service_was_deleted_is_gone(
    ws: Workspace, record: DeploymentRecord, clock: FakeTime
) -> None:
    clock.on_sleep = lambda: ws.folder.open_store().remove_deployments(["d1"])
    with pytest.raises(WebserviceException, match=r"the last deployment of .+ is not known"):
        wait(ws, clock)


def test_an_interrupt_tells_how_to_attach_again(ws: Workspace, record: DeploymentRecord, clock: FakeTime) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    clock.on_sleep = interrupt
    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        wait(ws, clock, out=out)
    assert "Webservice(ws, 'on-local').wait_for_deployment(show_output=True)" in out.getvalue()


def test_a_failure_is_raised_once_while_an_older_revision_serves(ws: Workspace, record: DeploymentRecord) -> None:
    end(ws, "cancelled")
    ws.folder.open_store().update_service("on-local", state="Live", revision=1)
    service = ws.folder.open_store().get_service("on-local")
    assert service is not None
    deployments.unreported.add("d1")
    with pytest.raises(DeploymentCancelled, match="revision 1 still serves"):
        waiting.wait_until_ready(ws.folder, service)
    assert waiting.wait_until_ready(ws.folder, service) is False


def test_a_service_that_is_live_a_moment_before_its_deployment_is_waited_for(
    ws: Workspace, record: DeploymentRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws.folder.open_store().update_service("on-local", state="Live", revision=1)
    service = ws.folder.open_store().get_service("on-local")
    assert service is not None
    deployments.unreported.add("d1")
    monkeypatch.setattr(waiting.deployment, "refresh_service", lambda *given: end(ws, "live"))
    assert waiting.wait_until_ready(ws.folder, service) is True


@pytest.mark.parametrize("cause", [None, {"what": "it could not be started"}, {"code": 5, "what": []}])
def test_a_failure_without_a_whole_cause_is_an_error_too(
    ws: Workspace, clock: FakeTime, record: DeploymentRecord, cause: Any
) -> None:
    end(ws, "failed", cause=cause)
    with pytest.raises(DeploymentFailed, match=r"could not be started|the deployment of on-local failed"):
        wait(ws, clock)
