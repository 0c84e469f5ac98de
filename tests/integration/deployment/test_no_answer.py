"""Every command against a supervisor that does not answer ends in seconds, and says who, why and what to do."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from mldeploy_jupyter.commands import Context, open_workspace, run
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.targets.supervisor_client import SupervisorClient
from tests.integration.deployment.conftest import Site
from tests.polling import wait_until

LIMIT = 90.0  # seconds; without load a command takes 7 to 13

CALLS = {
    "service regen-key svc -k primary": "error",
    "service update svc --scoring-timeout-ms 5000": "error",
    "service reload svc": "error",
    "service start svc": "error",
    "model deploy svc --entry-script score.py --overwrite": "error",
    "service list": "Unhealthy",
    "service show svc": "supervisor-silent",
    "service get-keys svc": "",
    "service get-logs svc": "",
    "service run svc -d 1": '"answer": 1',  # its workers serve on
    "service cancel svc": "",
    "prune": "",
}


def supervisor_pid(site: Site) -> int:
    found = SupervisorClient(site.ws.folder.services / "svc").find_process()
    assert found is not None
    return int(found["pid"])


@pytest.fixture
def stopped(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site with a service whose supervisor a signal has stopped."""
    monkeypatch.chdir(site.folder)
    site.deploy().wait_for_deployment()
    pid = supervisor_pid(site)
    os.kill(pid, signal.SIGSTOP)
    yield site
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass


def run_timed(line: str) -> tuple[Any, float]:
    """The result or the error of a command, and the seconds it took."""
    began = time.monotonic()
    try:
        found: Any = run(line.split(), context=Context(open_workspace))
    except MldeployError as error:
        found = error
    return found, time.monotonic() - began


def test_every_command_ends_and_says_who_does_not_answer(stopped: Site) -> None:
    keys = (stopped.ws.folder.services / "svc" / "keys.json").read_text()
    for line, wanted in CALLS.items():
        found, seconds = run_timed(line)
        assert seconds < LIMIT, f"{line}: {seconds:.1f} s"
        if wanted == "error":
            assert isinstance(found, MldeployError), f"{line}: {found}"
            assert found.what == "the supervisor of svc does not answer", f"{line}: {found}"
            assert "SIGSTOP" in found.why and "service stop" in found.hint
        else:
            assert wanted in found.text, f"{line}: {found.text}"
    assert (stopped.ws.folder.services / "svc" / "keys.json").read_text() == keys, "the key was replaced"


@pytest.mark.parametrize("command", ["stop", "delete"])
def test_a_supervisor_that_does_not_answer_can_be_ended(stopped: Site, command: str) -> None:
    found, seconds = run_timed(f"service {command} svc")
    assert not isinstance(found, MldeployError) and seconds < LIMIT
    assert stopped.processes() == []
    if command == "stop":
        assert run_timed("service start svc")[0].text == "Started svc"
        assert json.loads(run_timed("service run svc -d 1")[0].text)["answer"] == 1


def test_a_deployment_that_was_given_up_is_not_carried_out_later(stopped: Site) -> None:
    stopped.script(2)
    assert isinstance(run_timed("service reload svc")[0], MldeployError)
    os.kill(supervisor_pid(stopped), signal.SIGCONT)
    log = stopped.ws.folder.services / "svc" / "logs" / "service.log"
    wait_until(lambda: "deploy is not carried out" in log.read_text())
    assert json.loads(run_timed("service run svc -d 1")[0].text)["answer"] == 1


def test_a_key_is_replaced_although_the_supervisor_dies_meanwhile(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site.folder)
    site.deploy().wait_for_deployment()
    pid, before = supervisor_pid(site), run_timed("service get-keys svc")[0].data
    call = SupervisorClient.call

    def die(client: SupervisorClient, op: str, *rest: Any, **more: Any) -> dict[str, Any]:
        if op == "keys":
            os.kill(pid, signal.SIGKILL)
        return call(client, op, *rest, **more)

    monkeypatch.setattr(SupervisorClient, "call", die)
    assert not isinstance(run_timed("service regen-key svc -k primary")[0], MldeployError)
    monkeypatch.undo()
    monkeypatch.chdir(site.folder)
    assert "is gone" in run_timed("service show svc")[0].text
    assert run_timed("service get-keys svc")[0].data != before
    run_timed("service start svc")
    assert json.loads(run_timed("service run svc -d 1")[0].text)["answer"] == 1


def test_a_service_whose_worker_does_not_answer_is_not_healthy(site: Site) -> None:
    service = site.deploy()
    service.wait_for_deployment()
    worker = SupervisorClient(site.ws.folder.services / "svc").call("status")["workers"][0]["pid"]
    assert service.state == "Healthy" and service.error is None
    os.kill(worker, signal.SIGSTOP)
    assert service.state == "Unhealthy"
    assert f"worker {worker} hung" in str(service.error)
    wait_until(lambda: service.state == "Healthy", 60)


def test_a_cancelled_first_deployment_is_listed_as_cancelled(site: Site) -> None:
    site.write("import time\n\ndef init():\n    time.sleep(60)\n\ndef run(data):\n    return 1\n")
    service = site.deploy()
    wait_until(service.cancel)
    wait_until(lambda: service.shown_state == "Cancelled")
    assert service.state == "Failed" and (service.error or {})["what"] == "the deployment was cancelled"
