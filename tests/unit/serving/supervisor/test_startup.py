"""A worker's start: ready, failed, hung, and tried again in a new interpreter."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest

from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor.generation import Aborted, Deployment, Generation
from mldeploy_jupyter.serving.supervisor.startup import await_ready, make_ready, may_be_the_fork
from mldeploy_jupyter.serving.supervisor.watchdog import hang_failure
from tests.unit.serving.supervisor.fakes import FakeFork, FakePool, FakeWorker

SETTINGS = Settings(init_timeout=5.0)


def wait_for(worker: FakeWorker, settings: Settings = SETTINGS, deployment: Deployment | None = None) -> None:
    await_ready(worker, settings, deployment, lambda event: None)


def start_worker(pool: FakePool, generation: Generation) -> Any:
    """Spawns a worker and waits until it, or another one in its place, is ready."""
    worker = pool.spawn(generation, queue.SimpleQueue(), lambda event: None, answer_early=False)
    generation.workers.append(worker)
    return make_ready(pool, generation, worker, None, lambda event: None, answer_early=False)


# -- one worker


def test_a_worker_that_says_so_is_ready() -> None:
    worker = FakeWorker()
    threading.Timer(0.05, worker.report_ready).start()
    wait_for(worker)
    assert worker.state == "ready"


def test_a_failing_init_ends_the_start_with_its_failure() -> None:
    worker = FakeWorker()
    worker.report_failure("init-raised", "ValueError: bad model")
    with pytest.raises(Aborted, match="bad model") as aborted:
        wait_for(worker)
    assert aborted.value.failure["code"] == "init-raised" and aborted.value.worker is worker


def test_a_dead_worker_ends_the_start_with_its_signal() -> None:
    worker = FakeWorker()
    worker.die(signal=11)
    with pytest.raises(Aborted, match="ended by signal 11") as aborted:
        wait_for(worker)
    assert aborted.value.failure["code"] == "killed"


def test_a_worker_that_dies_after_it_was_ready_ends_the_start() -> None:
    worker = FakeWorker()
    worker.report_ready()
    worker.die(signal=None)
    with pytest.raises(Aborted, match="exited with code 1"):
        wait_for(worker)


def test_a_hung_init_ends_the_start_with_its_stack() -> None:
    worker = FakeWorker()
    worker.stage = "init"
    worker.answers["stack"] = {"frames": [{"file": "score.py", "line": 3}]}
    with pytest.raises(Aborted, match=r"init\(\) did not end within 0\.05 s") as aborted:
        wait_for(worker, Settings(init_timeout=0.05))
    assert aborted.value.failure["code"] == "init-timeout"
    assert aborted.value.failure["frames"] == [{"file": "score.py", "line": 3}]


def test_a_cancelled_deployment_ends_the_start() -> None:
    deployment = Deployment("d", 1, cancelled=True)
    with pytest.raises(Aborted) as aborted:
        wait_for(FakeWorker(), deployment=deployment)
    assert aborted.value.failure["code"] == "cancelled"


def test_the_failure_of_another_worker_in_the_same_queue_ends_the_start_too() -> None:
    first, second = FakeWorker(), FakeWorker()
    second.events = first.events
    second.report_failure("init-raised", "the second one")
    with pytest.raises(Aborted, match="the second one") as aborted:
        wait_for(first)
    assert aborted.value.worker is second


def test_what_a_superseded_worker_says_is_ignored() -> None:
    worker, superseded = FakeWorker(), FakeWorker()
    superseded.events, superseded.superseded = worker.events, True
    superseded.die()
    worker.report_ready()
    wait_for(worker)


# -- once more


def test_a_forked_worker_that_dies_silently_gets_a_new_interpreter(pool: FakePool) -> None:
    pool.fake_zygotes.forks = [FakeFork()]
    pool._on_start = [lambda worker: worker.die(signal=11), lambda worker: worker.report_ready()]
    generation = Generation(SETTINGS, "d", pool.listener)
    worker = start_worker(pool, generation)
    assert generation.workers == [worker] and not worker.forked and pool.created[0].killed
    assert "ended by signal 11, and not in a new interpreter" in pool.fake_zygotes.reason


def test_a_new_interpreter_that_fails_too_shows_that_the_fork_was_not_the_reason(pool: FakePool) -> None:
    pool.fake_zygotes.forks = [FakeFork()]
    pool._on_start = [lambda worker: worker.die(signal=11)]
    with pytest.raises(Aborted):
        start_worker(pool, Generation(SETTINGS, "d", pool.listener))
    assert len(pool.created) == 2 and pool.fake_zygotes.reason == ""


def test_a_forked_worker_that_raises_is_not_tried_again(pool: FakePool) -> None:
    pool.fake_zygotes.forks = [FakeFork()]
    pool._on_start = [lambda worker: worker.report_failure("init-raised", "ValueError: bad model")]
    with pytest.raises(Aborted, match="bad model"):
        start_worker(pool, Generation(SETTINGS, "d", pool.listener))
    assert len(pool.created) == 1 and pool.created[0].killed


def test_a_fork_with_outdated_modules_is_replaced_by_another_fork(pool: FakePool) -> None:
    pool.fake_zygotes.forks = [FakeFork(), FakeFork()]

    def be_outdated(worker: FakeWorker) -> None:
        worker.find_changed_file = lambda: "lib.py"
        worker.report_ready()

    pool._on_start = [be_outdated, lambda worker: worker.report_ready()]
    worker = start_worker(pool, Generation(SETTINGS, "d", pool.listener))
    assert worker is pool.created[1] and worker.forked and pool.fake_zygotes.reason == ""


@pytest.mark.parametrize(
    ("data", "forked", "expected"),
    [
        ({"code": "killed"}, True, True),
        ({"code": "exited"}, True, True),
        ({"code": "init-timeout", "locked": True}, True, True),
        ({"code": "init-timeout", "locked": False}, True, False),
        ({"code": "init-raised", "message": "CUDA cannot be re-initialized in a forked subprocess"}, True, True),
        ({"code": "init-raised", "message": "ValueError"}, True, False),
        ({"code": "killed", "memory": {"oom_kill": True}}, True, False),
        ({"code": "killed"}, False, False),
    ],
)
def test_which_failures_may_come_from_the_fork(data: dict[str, Any], forked: bool, expected: bool) -> None:
    worker = FakeWorker()
    worker.forked = forked
    assert may_be_the_fork(worker, data) is expected


def test_a_fork_that_was_stopped_before_it_began_is_replaced_by_another_fork(pool: FakePool) -> None:
    def stop(worker: FakeWorker) -> None:
        worker.kill_failure = hang_failure(worker, "a signal has stopped its process")
        worker.die()

    pool.fake_zygotes.forks = [FakeFork(), FakeFork()]
    pool._on_start = [stop, lambda worker: worker.report_ready()]
    worker = start_worker(pool, Generation(SETTINGS, "d", pool.listener))
    assert worker.forked and worker is pool.created[1] and not pool.fake_zygotes.reason
