"""Workspaces that were copied or moved, odd folders, and services that were stopped or had crashed before."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest
import requests

from mldeploy_jupyter import InferenceConfig, Webservice
from mldeploy_jupyter.core.errors import DeploymentFailed
from mldeploy_jupyter.core.journal.journal import read_events
from mldeploy_jupyter.core.workspace import folder as workspace
from mldeploy_jupyter.deployment import delete_service, query_status
from tests.polling import wait_until

from .conftest import Site

BROKEN = "def init():\n    raise ValueError('no')\n\ndef run(data):\n    return 1\n"
FLOOD = """
import time

def init():
    time.sleep(0.7)
    for _ in range(30):
        print("y" * 50_000, flush=True)

def run(data):
    return {"answer": 2}
"""


def live(site: Site) -> Webservice:
    service = site.deploy()
    service.wait_for_deployment(timeout_sec=60)
    return service


def update(site: Site, service: Webservice, **options: bool) -> None:
    service.update(inference_config=InferenceConfig(entry_script=str(site.folder / "score.py")), **options)


def answer(service: Webservice) -> object:
    key = {"Authorization": f"Bearer {service.get_keys()[0]}"}
    return requests.post(service.scoring_uri, json=1, headers=key, timeout=20).json()["answer"]


def supervisor(site: Site) -> int:
    return int(query_status(site.ws.folder, site.ws.folder.open_store().get_service("svc")).endpoint.details["pid"])


def test_a_copied_workspace_does_not_command_the_services_of_the_original(site: Site, tmp_path: Path) -> None:
    service = live(site)
    copy = tmp_path / "copy" / ".mldeploy"
    original = site.folder / ".mldeploy"
    shutil.copytree(original, copy, ignore=lambda _, names: [n for n in names if n.endswith(".sock")])
    folder = workspace.load_workspace(copy)
    record = site.ws.folder.open_store().get_service("svc")
    assert query_status(folder, record).state == "Stopped"
    delete_service(folder, "svc")
    assert not (copy / "services" / "svc").exists()
    assert (service.state, answer(service)) == ("Healthy", 1)


def test_the_supervisor_of_a_moved_workspace_is_found_again(site: Site, tmp_path: Path) -> None:
    service = live(site)
    old, new = site.folder / ".mldeploy", tmp_path.parent / "moved" / ".mldeploy"  # short: a socket is in it
    new.parent.mkdir()
    record = site.ws.folder.open_store().get_service("svc")
    old.rename(new)
    try:
        assert query_status(workspace.load_workspace(new), record).state == "Live"
    finally:
        new.rename(old)
    assert service.state == "Healthy"


@pytest.mark.parametrize("name", ["two:parts", "line\nbreak", "a b%c;d'e", "ü" * 60])
def test_a_workspace_may_have_any_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    odd = Site(tmp_path / name)
    odd.script(1)
    service = live(odd)
    try:
        odd.script(2)
        update(odd, service, wait=True)
        service.stop()
        service.start()
        assert answer(service) == 2
    finally:
        service.delete()
    wait_until(lambda: odd.processes() == [], what=lambda: f"processes are left: {odd.processes()}")


def test_a_failed_update_of_a_stopped_service_leaves_it_stopped_and_able_to_start(site: Site) -> None:
    service = live(site)
    service.stop()
    site.write(BROKEN)
    with pytest.raises(DeploymentFailed):
        update(site, service, wait=True)
    assert service.state == "Stopped"
    wait_until(lambda: site.processes() == [], what=lambda: str(site.processes()))  # the runner ends a moment later
    service.start()
    assert (service.state, answer(service)) == ("Healthy", 1)


def test_a_failed_update_after_a_crash_brings_the_old_revision_back(site: Site) -> None:
    service = live(site)
    os.kill(supervisor(site), signal.SIGKILL)
    wait_until(lambda: service.state == "Unhealthy", what=lambda: service.state)
    site.write(BROKEN)
    with pytest.raises(DeploymentFailed):
        update(site, service, wait=True)
    wait_until(lambda: service.state == "Healthy", what=lambda: service.state)
    assert answer(service) == 1


def test_a_runner_that_was_held_up_learns_how_its_deployment_ended(site: Site) -> None:
    service = live(site)
    site.write(FLOOD)
    update(site, service, detached=True)
    record = site.ws.folder.open_store().get_deployment(service.deployment_id)
    status = lambda: query_status(site.ws.folder, site.ws.folder.open_store().get_service("svc"))  # noqa: E731
    wait_until(
        lambda: status().details["last_deploy"].get("deployment_id") == service.deployment_id,
        what=lambda: "the supervisor was not asked",
    )
    os.kill(record.runner["pid"], signal.SIGSTOP)  # as a laptop that sleeps
    try:
        wait_until(lambda: status().revision == 2, what=lambda: "the supervisor did not go on")
    finally:
        os.kill(record.runner["pid"], signal.SIGCONT)
    service.wait_for_deployment(timeout_sec=30)
    assert answer(service) == 2 and site.ws.folder.open_store().get_service("svc").revision == 2


def test_a_launch_that_is_interrupted_leaves_no_deployment_running(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mldeploy_jupyter.deployment.launch._spawn_runner", interrupted)
    with pytest.raises(KeyboardInterrupt):
        site.deploy()
    monkeypatch.undo()
    assert site.ws.folder.open_store().list_deployments(state="running") == []


def test_a_script_that_floods_its_output_does_not_fill_the_journal(site: Site) -> None:
    site.write("def init():\n    for n in range(50_000):\n        print('line', n)\n\ndef run(data):\n    return 1\n")
    service = live(site)
    lines = [e.text for e in read_events(service.journal) if e.stage == "rollout" and e.kind == "log"]
    assert 5000 < len(lines) < 5010 and "in the service's log" in lines[-1]
    assert "line 49999" in service.get_logs(num_lines=100)
