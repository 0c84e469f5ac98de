"""The Docker target with the real engine: what happens to services, beyond what every target must do."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from mldeploy_jupyter.core import keys
from mldeploy_jupyter.core.bundle import builder
from mldeploy_jupyter.core.configs import DeployConfig
from mldeploy_jupyter.core.diagnosis import explain
from mldeploy_jupyter.core.errors import DeploymentCancelled, ScoringError
from mldeploy_jupyter.core.records import DeploymentRequest, RevisionRecord, ServiceRecord
from mldeploy_jupyter.core.scoring_client import ScoringClient
from mldeploy_jupyter.deployment.plan import server_settings
from mldeploy_jupyter.docker_engine import Engine, open_engine
from mldeploy_jupyter.targets import Endpoint, Plan, Strategy, TargetContext, TargetFailure
from mldeploy_jupyter.targets.docker import names
from mldeploy_jupyter.targets.docker.containers import list_containers
from mldeploy_jupyter.targets.docker.live_record import remove_record
from mldeploy_jupyter.targets.docker.lost_services import list_lost_services, remove_lost_service
from mldeploy_jupyter.targets.docker.target import DockerTarget
from tests.engines.docker import RunningEngine
from tests.integration.targets.service_image import build_service_image
from tests.polling import wait_until
from tests.ports import free_port
from tests.steady_load import SteadyLoad

pytestmark = pytest.mark.engines

ANSWER = """
def init():
    print("loading revision {0}")

def run(data):
    print("scored", data)
    return {{"answer": {0}}}
"""
BROKEN = "def init():\n    raise RuntimeError('the model is not there')\n\ndef run(data):\n    return data\n"
GREEDY = "def init():\n    global blob\n    blob = b'x' * 900_000_000\n\ndef run(data):\n    return data\n"
ENDS = (
    "import os\n\ndef init():\n    print('leaving', flush=True)\n    os._exit(3)\n\ndef run(data):\n    return data\n"
)
SLOW = "import time\n\ndef init():\n    time.sleep(600)\n\ndef run(data):\n    return data\n"


class Service:
    """A service on a Docker target, with the images of its revisions."""

    name = "churn"

    def __init__(self, root: Path, engine: Engine, base: str) -> None:
        self.root, self.engine, self.base = root, engine, base
        self.workspace = f"t{uuid.uuid4().hex}"
        self.context = TargetContext(self.workspace, root / "services")
        self.target = DockerTarget(self.context)
        self.record = ServiceRecord(self.name, "docker", "Local", workspace_id=self.workspace)
        self.events: list[tuple[str, str, str]] = []
        self._images: dict[str, str] = {}

    def plan(self, script: str, number: int, **config: Any) -> Plan:
        source = self.root / f"score-{number}.py"
        source.write_text(script)
        bundle = builder.build(builder.BundleContent("source", {"score.py": source}, "score.py"), self.root / "bundles")
        revision = RevisionRecord(self.name, number, bundle_digest=bundle.digest, deployment_id=f"deployment-{number}")
        resolved = {**DeployConfig().resolve(), **config}
        settings = server_settings(bundle, revision, resolved, python=sys.executable, variables={})
        request = DeploymentRequest(self.name, "docker")
        return Plan(request, self.record, revision, bundle=bundle.path, settings=settings, config=resolved)

    def with_image(self, plan: Plan) -> Plan:
        digest = plan.revision.bundle_digest
        if digest not in self._images:
            self._images[digest] = build_service_image(plan, self.engine, self.base, self.root / "cache")
        return replace(plan, image=self._images[digest])

    def emit(self, stage: str, kind: str, text: str = "", **data: Any) -> None:
        self.events.append((stage, kind, text))

    def apply(self, script: str, number: int, *, cancel: Callable[[], None] = lambda: None, **config: Any) -> Endpoint:
        return self.apply_plan(self.with_image(self.plan(script, number, **config)), cancel)

    def apply_plan(self, plan: Plan, cancel: Callable[[], None] = lambda: None) -> Endpoint:
        endpoint = self.target.apply(plan, Strategy(), self.emit, cancel)
        self.record = replace(self.record, endpoint=endpoint.to_dict(), revision=plan.revision.number)
        return endpoint

    def reload(self, script: str, number: int) -> Endpoint:
        return self.apply_plan(self.plan(script, number))

    @property
    def key(self) -> str:
        found = keys.read_keys(self.context.services / self.name / "keys.json")
        return found.primary if found else ""

    def answer(self) -> Any:
        client = ScoringClient(self.record.endpoint["scoring_uri"], lambda: self.key)
        try:
            return client.run({"x": 1})["answer"]
        finally:
            client.close()

    def containers(self, role: str) -> list[Any]:
        return [one for one in list_containers(self.engine, self.workspace) if one.role == role]

    def container(self, role: str = names.SERVICE_ROLE) -> Any:
        (found,) = self.containers(role)
        return self.engine.client.containers.get(found.id)

    def wait_for(self, state: str) -> None:
        wait_until(
            lambda: self.target.status(self.record).state == state, 60, lambda: str(self.target.status(self.record))
        )

    def leftovers(self) -> dict[str, list[str]]:
        """What of the service the engine has, and the images that were made for it."""
        client = self.engine.client
        own = {"label": f"{names.WORKSPACE}={self.workspace}"}
        known = {image.id for image in client.images.list()}
        return {
            "containers": [one.name for one in client.containers.list(all=True, filters=own)],
            "volumes": [one.name for one in client.volumes.list(filters=own)],
            "images": [id for id in self._images.values() if id in known],
        }

    def close(self) -> None:
        self.target.delete(self.record, self.emit)
        for id in self._images.values():
            subprocess.run(["docker", "image", "rm", "-f", id], capture_output=True)


NOTHING: dict[str, list[str]] = {"containers": [], "volumes": [], "images": []}


@pytest.fixture
def service(docker_engine: RunningEngine, base_image: str, tmp_path: Path) -> Iterator[Service]:
    engine = open_engine()
    service = Service(tmp_path, engine, base_image)
    yield service
    service.close()
    engine.close()


def test_delete_leaves_no_container_volume_image_or_file(service: Service) -> None:
    service.apply(ANSWER.format(1), 1)
    service.apply(ANSWER.format(2), 2)
    assert service.leftovers()["containers"] and service.leftovers()["volumes"]
    service.target.delete(service.record, service.emit)
    wait_until(lambda: service.leftovers()["containers"] == [])
    left = service.leftovers()
    assert (left["containers"], left["volumes"]) == ([], [])
    assert service._images[service.plan(ANSWER.format(2), 2).revision.bundle_digest] not in left["images"]
    assert not (service.context.services / service.name).exists()


def test_services_of_a_deleted_workspace_are_found_and_ended(service: Service, tmp_path: Path) -> None:
    root = tmp_path / ".mldeploy"
    root.mkdir()
    service.context = replace(service.context, services=root / "services")
    service.target = DockerTarget(service.context)
    service.apply(ANSWER.format(1), 1)
    (root / "config.json").write_text(json.dumps({"id": service.workspace}))
    assert service.workspace not in [one.workspace_id for one in list_lost_services(service.engine, ())]
    shutil.rmtree(root)
    (found,) = [one for one in list_lost_services(service.engine, ()) if one.workspace_id == service.workspace]
    assert (found.name, found.root) == (service.name, str(root))
    # Somebody else removed its containers: the volume says the same.
    for container in service.engine.client.containers.list(
        all=True, filters={"label": f"{names.WORKSPACE}={service.workspace}"}
    ):
        container.remove(force=True)
    assert service.leftovers()["containers"] == [] != service.leftovers()["volumes"]
    assert found in list_lost_services(service.engine, ())
    remove_lost_service(service.engine, found)
    left = service.leftovers()
    assert (left["containers"], left["volumes"]) == ([], [])


def test_a_container_runs_with_few_rights_and_within_its_limits(service: Service) -> None:
    service.apply(ANSWER.format(1), 1, memory_gb_limit=0.5, cpu_cores_limit=1.5)
    attrs = service.container().attrs
    host = attrs["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["SecurityOpt"]) == (True, ["ALL"], ["no-new-privileges"])
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (500_000_000, 1_500_000_000, 512)
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    listener = service.container(names.LISTENER_ROLE).attrs
    assert [list(binding.values()) for binding in listener["HostConfig"]["PortBindings"]["5001/tcp"]] == [
        ["127.0.0.1", str(service.record.endpoint["port"])]
    ]
    assert not attrs["HostConfig"]["PortBindings"]
    assert service.key not in json.dumps([attrs, listener])


def test_an_update_under_load_fails_no_request(service: Service) -> None:
    service.apply(ANSWER.format(1), 1)
    second, third = (service.with_image(service.plan(ANSWER.format(n), n)) for n in (2, 3))
    with SteadyLoad(service.record.endpoint["scoring_uri"], service.key, rate=60) as load:
        for plan in (second, third):
            load.wait_for(30)
            service.apply_plan(plan)
        load.wait_for(30)
        report = load.end()
    assert report["failures"] == []
    assert service.answer() == 3
    wait_until(lambda: len(service.containers(names.SERVICE_ROLE)) == 1)


def test_code_is_reloaded_in_the_running_container(service: Service) -> None:
    service.apply(ANSWER.format(1), 1)
    before = service.container()
    service.reload(ANSWER.format(2), 2)
    assert service.answer() == 2 and service.container().id == before.id
    status = service.target.status(service.record)
    assert (status.revision, status.deployment_id) == (2, "deployment-2")
    with pytest.raises(TargetFailure) as failure:
        service.reload(BROKEN, 3)
    assert failure.value.failure["exception"]["message"] == "the model is not there"
    assert service.answer() == 2
    # What was reloaded serves again when the container is started again, and is known without this machine's record.
    remove_record(service.context.services / service.name)
    service.container().restart(timeout=10)
    service.wait_for("Live")
    assert service.answer() == 2 and service.target.status(service.record).revision == 2


def test_a_service_is_found_by_its_labels_alone(service: Service) -> None:
    service.apply(ANSWER.format(1), 1)
    remove_record(service.context.services / service.name)
    again = DockerTarget(replace(service.context, services=service.root / "elsewhere"))
    (found,) = again.discover()
    assert (found.name, found.revision, found.deployment_id) == (service.name, 1, "deployment-1")
    assert found.endpoint["port"] == service.record.endpoint["port"]
    assert again.status(found).state == "Live"


def test_a_listener_that_is_killed_comes_back_with_the_same_port(service: Service) -> None:
    service.apply(ANSWER.format(1), 1)
    scoring, listener = service.container(), service.container(names.LISTENER_ROLE)
    pid = listener.attrs["State"]["Pid"]
    subprocess.run(["kill", "-9", str(pid)], check=True)
    wait_until(lambda: service.container(names.LISTENER_ROLE).attrs["State"]["Pid"] not in (0, pid))
    service.wait_for("Live")
    assert service.answer() == 1
    assert service.container().attrs["State"]["StartedAt"] == scoring.attrs["State"]["StartedAt"]


def test_a_container_that_is_killed_comes_back(service: Service) -> None:
    service.apply(ANSWER.format(1), 1)
    pid = service.container().attrs["State"]["Pid"]
    subprocess.run(["kill", "-9", str(pid)], check=True)
    wait_until(lambda: service.container().attrs["State"]["Pid"] not in (0, pid))
    service.wait_for("Live")
    assert service.answer() == 1
    assert service.target.status(service.record).details["restarts"] == 1


def test_a_container_that_was_removed_by_another_hand_is_told_and_deployed_again(service: Service) -> None:
    service.apply(ANSWER.format(1), 1)
    service.container().remove(force=True)
    status = service.target.status(service.record)
    assert status.state == "Unhealthy" and status.failure is not None and status.failure["code"] == "container-gone"
    service.apply(ANSWER.format(2), 2)
    assert service.answer() == 2


def test_a_failure_in_init_has_its_traceback_and_leaves_nothing(service: Service) -> None:
    with pytest.raises(TargetFailure) as failure:
        service.apply(BROKEN, 1)
    data = failure.value.failure
    assert data["stage"] == "init" and data["exception"]["message"] == "the model is not there"
    assert data["exception"]["frames"][-1]["function"] == "init"
    assert service.leftovers() | {"images": []} == NOTHING
    log = [line.text for line in service.target.logs(service.record, tail=None, follow=False)]
    assert any("the model is not there" in line for line in log)


def test_a_script_that_ends_its_process_is_told(service: Service) -> None:
    with pytest.raises(TargetFailure) as failure:
        service.apply(ENDS, 1)
    assert (failure.value.failure["code"], failure.value.failure["exit_code"]) == ("exited", 3)


def test_memory_that_runs_out_in_init_is_told_with_limit_and_peak(service: Service) -> None:
    with pytest.raises(TargetFailure) as failure:
        service.apply(GREEDY, 1, memory_gb_limit=0.3)
    cause = explain(failure.value.failure, script=None, settings={"service": "churn"}, models=[])
    assert cause.code == "out-of-memory"
    assert cause.data["limit"] == pytest.approx(300_000_000, rel=0.01)
    assert cause.data["peak"] == pytest.approx(300_000_000, rel=0.05)


def test_a_port_that_is_taken_is_refused_with_who_has_it(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TargetFailure) as failure:
            service.target.check(service.plan(ANSWER.format(1), 1, port=port))
        assert failure.value.failure["code"] == "port-in-use"
        assert "pytest" in failure.value.failure["holder"]["command"]
        plan = service.with_image(service.plan(ANSWER.format(1), 1, port=port))
        with pytest.raises(TargetFailure) as failure:  # taken after the check
            service.apply_plan(plan)
        assert (failure.value.failure["code"], failure.value.failure["port"]) == ("port-in-use", port)
    assert service.leftovers() | {"images": []} == NOTHING
    assert service.apply_plan(plan).details["port"] == port
    other = DockerTarget(replace(service.context, workspace_id=f"t{uuid.uuid4().hex}"))
    (finding,) = other.check(service.plan(ANSWER.format(1), 1, port=port))
    assert (finding.code, finding.why) == ("port-in-use", "the service churn has it")


def test_the_port_is_kept_over_stop_and_update_and_can_be_changed(service: Service) -> None:
    port = service.apply(ANSWER.format(1), 1).details["port"]
    service.target.control(service.record, "stop", service.emit)
    assert service.target.status(service.record).state == "Stopped"
    assert service.apply(ANSWER.format(2), 2).details["port"] == port
    assert service.answer() == 2
    other = free_port()
    assert service.apply(ANSWER.format(3), 3, port=other).details["port"] == other
    assert service.answer() == 3
    wait_until(lambda: [one.port for one in service.containers(names.LISTENER_ROLE)] == [other])
    assert service.target.refuse_endpoint(service.record, f"http://127.0.0.1:{other}/score") == ""
    assert "another program" in service.target.refuse_endpoint(service.record, f"http://127.0.0.1:{port}/score")


@pytest.mark.parametrize("times", [1, 4, 6])
def test_an_apply_that_ends_anywhere_is_completed_by_the_next(service: Service, times: int) -> None:
    """The caller dies between two requests to the engine, at the `times`-th thing that it changes."""

    class Killed(BaseException):
        pass

    service.apply(ANSWER.format(1), 1)
    plan = service.with_image(service.plan(ANSWER.format(2), 2))
    api, left = service.target._engine(60.0).client.api, times
    send = api._post

    def post(*arguments: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if left <= 0:
            raise Killed
        return send(*arguments, **options)

    api._post = post
    try:
        with pytest.raises(Killed):
            service.apply_plan(plan)
    finally:
        api._post = send
    assert service.answer() in (1, 2)
    service.apply_plan(plan)
    assert service.answer() == 2
    wait_until(lambda: len(service.containers(names.SERVICE_ROLE)) == 1)
    status = service.target.status(service.record)
    assert (status.state, status.revision, status.deployment_id) == ("Live", 2, "deployment-2")


def test_a_deployment_whose_caller_died_is_ended_by_cancel(service: Service) -> None:
    plan = service.with_image(service.plan(SLOW, 1))

    def apply() -> None:
        with suppress(TargetFailure, DeploymentCancelled):
            service.apply_plan(plan)

    thread = threading.Thread(target=apply, daemon=True)
    thread.start()
    wait_until(lambda: any(one.is_running for one in service.containers(names.SERVICE_ROLE)))
    DockerTarget(service.context).cancel(service.record, "deployment-1")
    assert service.leftovers() | {"images": []} == NOTHING
    thread.join(60)
    assert not thread.is_alive()


def test_new_keys_work_at_once_and_the_old_ones_no_longer(service: Service) -> None:
    service.apply(ANSWER.format(1), 1)
    old = service.key
    keys.replace_key(service.context.services / service.name / "keys.json", "Primary")
    service.target.control(service.record, "regen_keys", service.emit)
    assert service.answer() == 1
    connection = http.client.HTTPConnection("127.0.0.1", service.record.endpoint["port"], timeout=60)
    connection.request("POST", "/score", b"{}", {"Authorization": f"Bearer {old}"})
    assert connection.getresponse().status == 401
    connection.close()


def test_every_line_of_the_log_is_copied_once_whoever_reads(service: Service) -> None:
    service.apply(ANSWER.format(1), 1)
    for _ in range(3):
        service.answer()
        list(service.target.logs(service.record, tail=None, follow=False))
    log = service.target.open_log(service.record)
    log.refresh()
    service.answer()

    def scored() -> int:
        log.signature()
        log.refresh()
        return sum("scored" in line.text for line in log.entries())

    wait_until(lambda: scored() == 4)
    service.apply(ANSWER.format(2), 2)  # the old container's last lines are kept
    lines = [line.text for line in service.target.logs(service.record, tail=None, follow=False)]
    assert sum("scored" in line for line in lines) == 4
    assert sum("loading revision" in line for line in lines) == 2


def test_a_log_is_followed_until_the_service_stops(service: Service) -> None:
    service.apply(ANSWER.format(1), 1)
    lines: list[str] = []
    thread = threading.Thread(
        target=lambda: lines.extend(one.text for one in service.target.logs(service.record, tail=5, follow=True))
    )
    thread.start()
    service.answer()
    service.apply(ANSWER.format(2), 2)
    service.target.control(service.record, "stop", service.emit)
    thread.join(60)
    assert not thread.is_alive()
    assert any("scored" in line for line in lines) and any("loading revision 2" in line for line in lines)


def test_status_and_connections_are_cheap(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """No program is run in the container for a status: that would take a tenth of a second of two processors."""
    service.apply(ANSWER.format(1), 1)
    service.target.status(service.record)
    sent: list[tuple[str | None, str | None]] = []
    send = requests.Session.send

    def note(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        sent.append((request.method, request.url))
        return send(session, request, **options)

    monkeypatch.setattr(requests.Session, "send", note)
    for _ in range(20):
        assert service.target.status(service.record).state == "Live"
    assert len(sent) == 2 * 20 and {method for method, _ in sent} == {"GET"}, sent


GROWS = """
import json

def init():
    pass

def run(data):
    blob = b"x" * json.loads(data)["bytes"]
    return {"answer": len(blob)}
"""


@pytest.mark.slow
def test_a_worker_that_is_killed_for_memory_is_replaced_and_told(service: Service) -> None:
    service.apply(GROWS, 1, memory_gb_limit=0.3)
    client = ScoringClient(service.record.endpoint["scoring_uri"], lambda: service.key)
    with pytest.raises(ScoringError):
        client.run({"bytes": 900_000_000})
    client.close()
    service.wait_for("Live")

    def last_exit() -> Any:  # the engine runs the image's own check every so often, and keeps what it prints
        return service.target.status(service.record).details["last_exit"]

    found = wait_until(last_exit, 90)
    assert "memory" in found["message"] and found["pid"] and found["time"]
