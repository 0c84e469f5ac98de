"""A deployment: its stages, its outcome, and what is left of one that fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from mldeploy_jupyter.serving.ipc.failure import failure
from mldeploy_jupyter.serving.supervisor.generation import Aborted, Generation
from mldeploy_jupyter.serving.supervisor.rollout import Rollouts
from mldeploy_jupyter.serving.system.listening_socket import open_listener
from tests.unit.serving.supervisor.fakes import FakePool, FakeWorker

REQUEST = {"settings": {"revision": 1, "workers": 2}, "deployment_id": "d1"}


class Site:
    """A pool with the deployments of its service, and the events that their client got."""

    def __init__(self, pool: FakePool) -> None:
        self.pool = pool
        self.events: list[dict[str, Any]] = []
        self.in_switch: Callable[[], None] = lambda: None
        self.rollouts = Rollouts(pool, "127.0.0.1", self.switch)

    def switch(self, generation: Generation, new_port: bool, save: Callable[[], None]) -> None:
        self.in_switch()
        self.pool.switch_to(generation)
        save()

    def deploy(self, **more: Any) -> dict[str, Any]:
        return self.rollouts.deploy({**REQUEST, **more}, self.events.append)

    def stages(self) -> list[tuple[str, str]]:
        return [(event["stage"], event["kind"]) for event in self.events if event["event"] == "stage"]


@pytest.fixture
def site(pool: FakePool) -> Site:
    return Site(pool)


def be_ready(worker: FakeWorker) -> None:
    worker.report_ready()


def fail(worker: FakeWorker) -> None:
    worker.report_failure("init-raised", "ValueError: bad model")


def test_new_workers_are_loaded_probed_and_switched_to(site: Site) -> None:
    answer = site.deploy()
    assert answer["ok"] and (answer["revision"], answer["port"]) == (1, site.pool.port)
    assert site.stages() == [
        *[("rollout", "started"), ("rollout", "finished"), ("probe", "started"), ("probe", "finished")],
        *[("switch", "started"), ("switch", "finished")],
    ]
    assert site.pool.live is not None and len(site.pool.live.workers) == 2
    assert all(len(worker.orders("adopt")) == 1 for worker in site.pool.created)
    live = json.loads((site.pool.folder / "live.json").read_text())
    assert (live["revision"], live["deployment_id"], live["port"]) == (1, "d1", site.pool.port)
    assert site.rollouts.last == {"deployment_id": "d1", "revision": 1, "outcome": "live", "failure": None}


def test_only_a_service_that_answers_nothing_answers_while_it_starts(site: Site) -> None:
    site.deploy()
    site.deploy()
    assert [worker.orders("start")[0]["answer_early"] for worker in site.pool.created] == [True, True, False, False]


def test_each_worker_is_probed_as_often_as_the_settings_say(site: Site) -> None:
    site.deploy(settings={"revision": 1, "probes": 3})
    assert len(site.pool.created[0].orders("adopt")) == 3


def test_a_failed_start_leaves_what_serves_and_kills_the_new_workers(site: Site) -> None:
    site.deploy()
    serving = site.pool.live
    site.events.clear()
    site.pool._on_start = [lambda worker: worker.report_ready(), fail]
    answer = site.deploy()
    assert answer["failure"]["message"] == "ValueError: bad model" and site.pool.live is serving
    assert site.stages() == [("rollout", "started"), ("rollout", "failed")]
    assert [worker.killed for worker in site.pool.created] == [False, False, True, True]
    assert site.rollouts.last is not None and site.rollouts.last["outcome"] == "failed"


def test_a_failed_probe_says_what_was_answered(site: Site) -> None:
    def be_ready(worker: FakeWorker) -> None:
        worker.responses = [b'HTTP/1.1 500 X\r\n\r\n{"message": "bad sample"}']
        worker.report_ready()

    site.pool._on_start = [be_ready]
    data = site.deploy()["failure"]
    assert data["code"] == "probe-failed" and data["response"] == {"message": "bad sample"}
    assert site.stages()[-1] == ("probe", "failed") and all(worker.killed for worker in site.pool.created)


def test_a_failed_switch_fails_the_deployment(site: Site) -> None:
    def lose_worker() -> None:
        raise Aborted(failure("worker-lost", "switch", "a new worker was lost"))

    site.in_switch = lose_worker
    assert site.deploy()["failure"]["code"] == "worker-lost" and site.stages()[-1] == ("switch", "failed")
    assert not (site.pool.folder / "live.json").exists()


def test_a_revision_that_cannot_be_recorded_gets_no_traffic(site: Site) -> None:
    (site.pool.folder / ".live.json.next").mkdir()
    data = site.deploy()["failure"]
    assert (data["code"], data["stage"]) == ("spawn-failed", "switch") and site.pool.live is None


def test_one_deployment_runs_at_a_time_and_its_switch_cannot_be_cancelled(site: Site) -> None:
    seen: list[dict[str, Any]] = []

    def try_both() -> None:
        seen.append(site.deploy(deployment_id="d2"))
        seen.append(site.rollouts.cancel("d1"))

    site.in_switch = try_both
    assert site.deploy()["ok"]
    busy, too_late = (answer["failure"] for answer in seen)
    assert (busy["code"], busy["deployment_id"], too_late["code"]) == ("busy", "d1", "too-late")


@pytest.mark.parametrize("how", ["cancel", "abandon"])
def test_a_deployment_that_still_loads_is_cancelled(site: Site, how: str) -> None:
    started = threading.Event()
    site.pool._on_start = [lambda worker: started.set()]
    answers: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: answers.append(site.deploy()))
    thread.start()
    assert started.wait(10)
    if how == "cancel":
        assert site.rollouts.cancel("other")["failure"]["code"] == "not-running"
        assert site.rollouts.cancel("d1") == {"ok": True}
    else:
        site.rollouts.abandon()
    thread.join(10)
    assert answers[0]["failure"]["code"] == "cancelled" and site.pool.spawned
    assert all(worker.killed for worker in site.pool.spawned)  # one that was created too late is never started
    assert site.rollouts.last is not None and site.rollouts.last["outcome"] == "cancelled"
    assert site.rollouts.cancel("d1")["failure"]["code"] == "not-running"


def test_a_taken_port_fails_before_a_worker_is_started(site: Site) -> None:
    with open_listener("127.0.0.1", 0) as taken:
        data = site.deploy(port=taken.getsockname()[1])["failure"]
    assert data["code"] == "port-in-use" and site.pool.created == []


def test_settings_of_a_wrong_type_are_refused(site: Site) -> None:
    assert site.deploy(settings={"workers": "2"})["failure"]["code"] == "bad-request"
    assert site.rollouts.last is None


@pytest.mark.parametrize("how", ["load", "probe", "switch"])
def test_a_deployment_that_fails_leaves_no_file(site: Site, how: str) -> None:
    def lose_worker() -> None:
        raise Aborted(failure("worker-lost", "switch", "a new worker was lost"))

    if how == "load":
        site.pool._on_start = [fail]
    elif how == "switch":
        site.in_switch = lose_worker
    else:
        site.pool._on_start = [lambda worker: (worker.responses.append(b"HTTP/1.1 500 X\r\n\r\n"), be_ready(worker))]
    assert not site.deploy()["ok"]
    assert [path.name for path in site.pool.folder.iterdir() if "live" in path.name] == []


def test_a_deployment_that_was_cancelled_before_its_request_was_read_never_begins(site: Site) -> None:
    assert site.rollouts.cancel("d1")["failure"]["code"] == "not-running"
    assert site.deploy()["failure"]["code"] == "cancelled" and site.pool.spawned == []
    assert site.rollouts.cancel("")["failure"]["code"] == "not-running"  # "any" revokes nothing that comes later
    assert site.deploy(deployment_id="d2")["ok"]
