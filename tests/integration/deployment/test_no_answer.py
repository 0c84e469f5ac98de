"""Every command against a supervisor that does not answer ends in seconds, and says who, why and what to do."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from mldeploy_jupyter.commands import Context, open_workspace, run
from mldeploy_jupyter.core.errors import MldeployError
from mldeploy_jupyter.targets.supervisor_client import SupervisorClient
from tests.integration.deployment.conftest import Site
from tests.polling import stop_process, wait_until

LIMIT = 240.0  # seconds; without load a command takes 7 to 13, and they run side by side

# What changes a service holds its lease, so that each of these has one of its own.
CHANGES = {
    "regen": "service regen-key regen -k primary",
    "update": "service update update --scoring-timeout-ms 5000",
    "reload": "service reload reload",
    "start": "service start start",
    "deploy": "model deploy deploy --entry-script score.py --overwrite",
}

READS = {
    "service list": "Unhealthy",
    "service show svc": "supervisor-silent",
    "service get-keys svc": "",
    "service get-logs svc": "",
    "service run svc -d 1": '"answer": 1',  # its workers serve on
    "service cancel svc": "",
    "prune": "",
}


def supervisor_pid(site: Site, name: str = "svc") -> int:
    found = SupervisorClient(site.ws.folder.services / name).find_process()
    assert found is not None
    return int(found["pid"])


@contextmanager
def stopped_supervisors(site: Site, *names: str) -> Iterator[None]:
    """Deploys services of these names; their supervisors are stopped by a signal meanwhile."""
    for service in [site.deploy(name) for name in names]:
        service.wait_for_deployment()
    pids = [supervisor_pid(site, name) for name in names]
    for pid in pids:
        stop_process(pid)
    yield
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def stopped(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site with a service whose supervisor a signal has stopped."""
    monkeypatch.chdir(site.folder)
    with stopped_supervisors(site, "svc"):
        yield site


def run_timed(line: str) -> tuple[Any, float]:
    """The result or the error of a command, and the seconds it took."""
    began = time.monotonic()
    try:
        found: Any = run(line.split(), context=Context(open_workspace))
    except MldeployError as error:
        found = error
    return found, time.monotonic() - began


def test_every_command_ends_and_says_who_does_not_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them side by side."""
    monkeypatch.chdir(site.folder)
    with stopped_supervisors(site, "svc", *CHANGES), ThreadPoolExecutor(len(CHANGES) + len(READS)) as threads:
        keys = site.ws.folder.services / "regen" / "keys.json"
        before = keys.read_text()
        lines = [*CHANGES.values(), *READS]
        ended = dict(zip(lines, threads.map(run_timed, lines), strict=True))
        assert keys.read_text() == before, "the key was replaced"
    for line, (_, seconds) in ended.items():
        assert seconds < LIMIT, f"{line}: {seconds:.1f} s"
    for name, line in CHANGES.items():
        error = ended[line][0]
        assert isinstance(error, MldeployError), f"{line}: {error}"
        assert error.what == f"the supervisor of {name} does not answer", f"{line}: {error}"
        assert "SIGSTOP" in error.why and "service stop" in error.hint
    for line, wanted in READS.items():
        found = ended[line][0]
        assert wanted in found.text, f"{line}: {found}"


@pytest.mark.parametrize("command", ["stop", "delete"])
def test_a_supervisor_that_does_not_answer_can_be_ended(stopped: Site, command: str) -> None:
    found, seconds = run_timed(f"service {command} svc")
    assert not isinstance(found, MldeployError) and seconds < LIMIT
    wait_until(lambda: stopped.processes() == [])  # the runner of its deployment may still write down what it used
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
    call, find = SupervisorClient.call, SupervisorClient.find_process
    process = SupervisorClient(site.ws.folder.services / "svc").find_process()
    late: list[Any] = []  # what is seen after its death: a busy machine takes a moment to end a process

    def die(client: SupervisorClient, op: str, *rest: Any, **more: Any) -> dict[str, Any]:
        if op == "keys":
            os.kill(pid, signal.SIGKILL)
            late.extend([process] * 4)
        return call(client, op, *rest, **more)

    monkeypatch.setattr(SupervisorClient, "call", die)
    monkeypatch.setattr(SupervisorClient, "find_process", lambda *of, **how: late.pop() if late else find(*of, **how))
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
    assert service.state == "Healthy" and service.error is None
    seen: list[tuple[str, str]] = []

    def stop_the_worker() -> bool:
        """On a busy machine the supervisor may have another worker before anybody has asked."""
        workers = SupervisorClient(site.ws.folder.services / "svc").call("status")["workers"]
        worker = next((one["pid"] for one in workers if one["state"] == "live"), None)
        if worker is None:
            return False
        stop_process(worker)
        seen.append((service.state, str(service.error)))
        return seen[-1][0] == "Unhealthy" and f"worker {worker} hung" in seen[-1][1]

    wait_until(stop_the_worker, what=lambda: str(seen))
    wait_until(lambda: service.state == "Healthy")


def test_a_cancelled_first_deployment_is_listed_as_cancelled(site: Site) -> None:
    site.write("import time\n\ndef init():\n    time.sleep(60)\n\ndef run(data):\n    return 1\n")
    service = site.deploy()
    wait_until(service.cancel)
    wait_until(lambda: service.shown_state == "Cancelled")
    assert service.state == "Failed" and (service.error or {})["what"] == "the deployment was cancelled"
