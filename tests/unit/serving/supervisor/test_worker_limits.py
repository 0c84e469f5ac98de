"""A worker's limits of memory and of requests."""

from __future__ import annotations

import os

import pytest

from mldeploy_jupyter.serving.ipc.failure import failure
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor.generation import Aborted
from mldeploy_jupyter.serving.supervisor.worker_limits import Limits, memory_failure, requests_until_replaced
from mldeploy_jupyter.serving.supervisor.worker_process import WorkerProcess
from tests.polling import wait_until
from tests.unit.serving.supervisor.fakes import FakeLog, FakeWorker

MB = 10**6


class CountingWorker(FakeWorker):
    """A live worker that has answered `answered` requests."""

    answered = 0

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.pid, self.state = 7, "live"

    def count_answered(self) -> int:
        return self.answered


def no_replacement(worker: WorkerProcess) -> None:
    raise AssertionError("nothing is to be replaced")


def test_a_worker_above_its_memory_limit_is_killed_with_the_figures() -> None:
    worker = CountingWorker(Settings(memory_limit_mb=100))
    Limits(FakeLog(), no_replacement, measure=lambda pid, limit: 150 * MB).watch(worker)
    wait_until(worker.exited.is_set)
    assert worker.killed and worker.kill_failure is not None
    assert (worker.kill_failure["code"], worker.kill_failure["used"]) == ("memory-limit", 150 * MB)
    assert worker.exit_failure()["stage"] == "run"


def test_a_worker_that_uses_too_much_while_it_starts_fails_in_that_stage() -> None:
    worker = CountingWorker(Settings(memory_limit_mb=100))
    worker.state, worker.stage = "starting", "init"
    Limits(FakeLog(), no_replacement, measure=lambda pid, limit: 150 * MB).watch(worker)
    wait_until(worker.exited.is_set)
    assert worker.exit_failure()["stage"] == "init"


def test_memory_is_measured_against_the_limit_in_bytes() -> None:
    worker, asked = CountingWorker(Settings(memory_limit_mb=100)), []
    Limits(FakeLog(), no_replacement, measure=lambda pid, limit: asked.append((pid, limit))).watch(worker)
    wait_until(lambda: asked)
    worker.die()
    assert asked[0] == (7, 100 * MB) and not worker.killed


def test_a_worker_that_has_answered_its_requests_is_replaced_once() -> None:
    replaced: list[WorkerProcess] = []
    worker, log = CountingWorker(Settings(max_requests=10)), FakeLog()

    def replace(worker: WorkerProcess) -> None:
        replaced.append(worker)
        worker.state = "draining"

    Limits(log, replace).watch(worker)
    worker.answered = 10
    wait_until(lambda: replaced)
    worker.die()
    assert replaced == [worker] and log.texts == ["worker 7 has answered its 10 requests; replacing it"]


def test_one_worker_is_replaced_at_a_time() -> None:
    first, second = (CountingWorker(Settings(max_requests=1)) for _ in range(2))
    first.answered = second.answered = 1
    running: list[WorkerProcess] = []
    most: list[int] = []

    def replace(worker: WorkerProcess) -> None:
        running.append(worker)
        most.append(len(running))
        worker.exited.wait(0.3)
        worker.state = "draining"
        running.remove(worker)

    limits = Limits(FakeLog(), replace)
    limits.watch(first)
    limits.watch(second)
    wait_until(lambda: first.state == second.state == "draining")
    assert most == [1, 1]
    first.die()
    second.die()


def test_a_worker_without_a_replacement_serves_on(monkeypatch: pytest.MonkeyPatch) -> None:
    log, worker = FakeLog(), CountingWorker(Settings(max_requests=1))
    worker.answered = 1

    def replace(worker: WorkerProcess) -> None:
        raise Aborted(failure("spawn-failed", "rollout", "no memory"))

    Limits(log, replace).watch(worker)
    wait_until(lambda: "worker 7 keeps serving: no memory" in log.texts)
    assert worker.state == "live" and not worker.killed
    worker.die()


def test_a_worker_without_limits_is_not_watched() -> None:
    worker = CountingWorker(Settings())
    Limits(FakeLog(), no_replacement, measure=lambda pid, limit: 1).watch(worker)
    assert not worker.exited.wait(0.4)


def test_a_memory_failure_names_used_limit_and_proposal() -> None:
    data = memory_failure(612 * MB, 512 * MB, "run")
    assert (data["code"], data["used"], data["limit"]) == ("memory-limit", 612 * MB, 512 * MB)
    assert data["proposed"] == 1000 * MB
    assert "612 MB" in data["message"] and "512 MB" in data["message"] and "memory_gb_limit=1 " in data["message"]


def test_workers_are_replaced_after_different_numbers_of_requests() -> None:
    settings = Settings(max_requests=1000)
    numbers = [requests_until_replaced(settings, os.urandom(8).hex()) for _ in range(200)]
    assert min(numbers) > 900 - 1 and max(numbers) <= 1000 and len(set(numbers)) > 50
    assert requests_until_replaced(Settings(max_requests=1), "ff" * 8) == 1
    assert requests_until_replaced(Settings(), "ff" * 8) == 0
