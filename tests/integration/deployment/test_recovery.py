"""Fault 37 and the issue's "SIGKILL of the runner at every stage": interrupted, and deploying again converges."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from mldeploy_jupyter import Webservice
from mldeploy_jupyter.core.errors import DeploymentCancelled, DeploymentInterrupted
from mldeploy_jupyter.core.journal.journal import read_events
from mldeploy_jupyter.deployment import launch, query_status
from mldeploy_jupyter.targets.supervisor_client import SupervisorClient
from tests.polling import stop_process, wait_until

from .conftest import SLOW, Site, ask, gated, live, update, wait_until_loading

HARNESS = str(Path(__file__).with_name("killed_runner.py"))
LAST = 16  # events of a first deployment: the state, six stages opened and closed, three log lines


@pytest.mark.parametrize("event", range(1, LAST + 1))
def test_a_runner_killed_after_any_event_is_found_and_deploying_again_converges(
    site: Site, monkeypatch: pytest.MonkeyPatch, event: int
) -> None:
    monkeypatch.setattr(launch, "RUNNER", ["-P", HARNESS])
    monkeypatch.setenv("KILL_AFTER", str(event))
    service = site.deploy()
    try:
        service.wait_for_deployment(timeout_sec=240)
    except DeploymentInterrupted as error:
        states = [e for e in read_events(service.journal) if e.kind == "state"]
        assert states[-1].data["state"] == "interrupted"
        assert "its runner process died" in error.why
        assert service.state == "Failed"
    else:
        # The supervisor had been asked already, and finished by itself: the record says what is true.
        assert event >= 10, "only a death after the supervisor was asked may count as live"
        assert service.run({})["answer"] == 1
    seqs = [e.seq for e in read_events(service.journal)]
    assert seqs == list(range(1, len(seqs) + 1))

    monkeypatch.undo()
    site.script(2)
    again = site.deploy()
    again.wait_for_deployment(timeout_sec=240)
    assert again.run({})["answer"] == 2
    assert [r["outcome"] for r in again.revisions].count("live") == 1


@pytest.mark.parametrize("event", [3, 5, 8])
def test_the_old_revision_serves_on_when_the_runner_of_an_overwrite_dies(
    site: Site, monkeypatch: pytest.MonkeyPatch, event: int
) -> None:
    site.deploy().wait_for_deployment(timeout_sec=240)
    monkeypatch.setattr(launch, "RUNNER", ["-P", HARNESS])
    monkeypatch.setenv("KILL_AFTER", str(event))
    site.script(2)
    service = site.deploy()
    with pytest.raises(DeploymentInterrupted) as error:
        service.wait_for_deployment(timeout_sec=240)
    assert "revision 1 still serves" in error.value.why
    assert (service.state, service.run({})["answer"]) == ("Healthy", 1)


def test_a_runner_killed_while_the_new_revision_loads_takes_it_along(site: Site) -> None:
    site.deploy().wait_for_deployment(timeout_sec=240)
    site.write(SLOW)
    service = site.deploy()
    wait_until_loading(site)
    deployment = site.ws.folder.open_store().get_deployment(service.deployment_id)
    assert deployment is not None
    os.kill(deployment.runner["pid"], signal.SIGKILL)
    with pytest.raises(DeploymentInterrupted) as error:
        service.wait_for_deployment(timeout_sec=240)
    assert error.value.why == "its runner process died in the stage Roll out; revision 1 still serves"
    assert service.run({})["answer"] == 1
    # What is left: the supervisor, its zygote, one worker, and perhaps a spare fork. The new revision's worker is gone.
    wait_until(lambda: len(workers(site)) == 1, what=lambda: str(site.processes()))
    assert len(site.processes()) <= 4


def workers(site: Site) -> list[str]:
    """The worker processes, without the fork that waits for the next one."""
    spare = SupervisorClient(site.ws.folder.services / "svc").call("status")["forking"]["spare"]
    return [line for line in site.processes() if ".worker " in line and line.split()[0] != str(spare)]


def test_a_caller_that_dies_before_the_request_is_whole_leaves_nothing_running(site: Site) -> None:
    import subprocess

    made = subprocess.run(
        [sys.executable, "-P", "-m", "mldeploy_jupyter.deployment.runner", str(site.folder / ".mldeploy"), "none"],
        input=b'{"primary_k',
        capture_output=True,
        timeout=60,
    )
    assert (made.returncode, made.stderr) == (3, b"")


def test_any_process_sees_the_interruption(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "RUNNER", ["-P", HARNESS])
    monkeypatch.setenv("KILL_AFTER", "4")
    service = site.deploy()
    with pytest.raises(DeploymentInterrupted):
        service.wait_for_deployment(timeout_sec=240)
    import json
    import subprocess

    shown = subprocess.run(
        [sys.executable, "-m", "mldeploy_jupyter.cli", "service", "list", "--json"],
        cwd=site.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert [item["state"] for item in json.loads(shown.stdout)] == ["Failed"]
    assert Webservice(site.ws, "svc").state == "Failed"


def test_a_suspended_runner_learns_how_its_deployment_ended(site: Site) -> None:
    service = live(site)
    gate = gated(site, then="[print('y' * 50_000, flush=True) for _ in range(30)]")  # more than a socket holds
    update(site, service, detached=True)
    wait_until_loading(site)
    record = site.ws.folder.open_store().get_deployment(service.deployment_id)
    status = lambda: query_status(site.ws.folder, site.ws.folder.open_store().get_service("svc"))  # noqa: E731
    stop_process(record.runner["pid"])  # as a laptop that sleeps
    gate.touch()
    try:
        wait_until(lambda: status().revision == 2, what=lambda: "the supervisor did not continue")
    finally:
        os.kill(record.runner["pid"], signal.SIGCONT)
    service.wait_for_deployment(timeout_sec=240)
    assert ask(service) == 2 and site.ws.folder.open_store().get_service("svc").revision == 2


@pytest.mark.parametrize("started", ["deploy", "update"])
def test_a_runner_that_a_signal_has_stopped_is_found_within_seconds(site: Site, started: str) -> None:
    service = live(site)
    site.write(SLOW)
    if started == "deploy":
        service = site.deploy()
    else:
        update(site, service, detached=True)
    wait_until_loading(site)
    pid = site.ws.folder.open_store().get_deployment(service.deployment_id).runner["pid"]
    stop_process(pid)
    wait_until(lambda: process_is_gone(site, pid))
    if started == "deploy":
        with pytest.raises(DeploymentInterrupted):
            service.wait_for_deployment(timeout_sec=240)
    else:  # the supervisor continues by itself, and can be told to stop
        assert service.state == "Transitioning" and service.cancel()
        with pytest.raises(DeploymentCancelled):
            service.wait_for_deployment(timeout_sec=240)
    wait_until(lambda: service.state == "Healthy")
    assert ask(service) == 1


def process_is_gone(site: Site, pid: int) -> bool:
    Webservice.list(site.ws)
    return all(line.split()[0] != str(pid) for line in site.processes())
