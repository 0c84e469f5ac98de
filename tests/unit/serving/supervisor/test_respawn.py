"""Replacing live workers: after their death, when they hang, after their number of requests."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Any

import pytest

from mldeploy_jupyter.serving.ipc.scoreboard import OVER_MEMORY, RECYCLED, RESTARTS
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.supervisor.generation import Aborted, Generation
from mldeploy_jupyter.serving.supervisor.respawn import Respawner
from mldeploy_jupyter.serving.supervisor.worker_limits import memory_failure
from tests.unit.serving.supervisor.fakes import FakePool, FakeWorker


def fail(worker: FakeWorker) -> None:
    worker.report_failure("init-raised", "ValueError: broken")


def be_ready(worker: FakeWorker) -> None:
    worker.report_ready()


def serve(pool: FakePool, workers: int = 1) -> Any:
    """A generation with live workers."""
    generation = Generation(Settings(), "d", pool.listener)
    generation.workers = [
        pool.spawn(generation, queue.SimpleQueue(), lambda event: None, answer_early=False) for _ in range(workers)
    ]
    pool.switch_to(generation)
    return generation


def test_a_lost_worker_is_replaced_and_its_requests_are_named(pool: FakePool) -> None:
    generation, respawner = serve(pool), Respawner(pool)
    (lost,) = generation.workers
    lost.lost_requests = ["request-1"]
    lost.die()
    respawner.replace_lost(lost)
    (new,) = generation.workers
    assert new is not lost and new.state == "live" and new.restarts == 1 and new.orders("accept")
    assert pool.scoreboard.service_fields[RESTARTS] == 1
    assert respawner.last_exit is not None and respawner.last_exit["code"] == "killed"
    assert any("[request-1] lost with worker" in text for text in pool.fake_log.texts)


def test_a_worker_that_is_not_live_is_not_replaced(pool: FakePool) -> None:
    generation, respawner = serve(pool), Respawner(pool)
    (draining,) = generation.workers
    serve(pool)
    draining.die()
    respawner.replace_lost(draining)
    assert len(pool.created) == 2 and respawner.last_exit is None


def test_a_worker_over_its_memory_limit_is_counted(pool: FakePool) -> None:
    (lost,) = serve(pool).workers
    lost.kill_failure = memory_failure(2 * 10**8, 10**8, "run")
    lost.die()
    Respawner(pool).replace_lost(lost)
    assert pool.scoreboard.service_fields[OVER_MEMORY] == 1


def test_pauses_double_up_to_a_limit_while_workers_keep_failing(pool: FakePool) -> None:
    generation, pauses = serve(pool, 0), []
    pool._on_start = [fail] * 8 + [be_ready]
    Respawner(pool, pauses.append).refill(generation, restarts=3)
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    (worker,) = generation.workers
    assert worker.restarts == 3 + 8 and generation.failure is None
    assert sum("ValueError: broken" in text for text in pool.fake_log.texts) == 8


def test_a_failing_start_makes_the_service_unhealthy_until_one_succeeds(pool: FakePool) -> None:
    generation, states = serve(pool, 0), []
    pool._on_start = [fail, be_ready]
    Respawner(pool, lambda pause: states.append((generation.state, generation.failure["message"]))).refill(
        generation, 0
    )
    assert states == [("Unhealthy", "ValueError: broken")] and generation.state == "Live"


@pytest.mark.parametrize("what", ["another generation serves", "the service stops"])
def test_the_attempts_end_when_they_are_not_needed(pool: FakePool, what: str) -> None:
    generation = serve(pool, 0)
    pool._on_start = [fail]

    def end(pause: float) -> None:
        if what == "the service stops":
            pool.refuse_spawns()
        else:
            pool.live = None

    Respawner(pool, end).refill(generation, 0)
    assert len(pool.created) == 1 and generation.workers == []


def test_a_worker_that_is_ready_too_late_is_drained(pool: FakePool) -> None:
    generation = serve(pool, 0)

    def be_late(worker: FakeWorker) -> None:
        worker.report_ready()
        worker.answers["accept"] = {}
        pool.refuse_spawns()

    pool._on_start = [be_late]
    Respawner(pool).refill(generation, 0)
    (late,) = pool.created
    assert late.state == "draining" and late.orders("drain") == [{"timeout": 0}]


def test_recycling_drains_the_old_worker_after_the_new_one_accepts(pool: FakePool) -> None:
    generation = serve(pool)
    (old,) = generation.workers
    Respawner(pool).recycle(old)
    (new,) = generation.workers
    assert new is not old and len(new.orders("accept")) == len(old.orders("drain")) == 1
    assert pool.scoreboard.service_fields[RECYCLED] == 1


def test_a_worker_without_a_replacement_stays(pool: FakePool) -> None:
    generation = serve(pool)
    (old,) = generation.workers
    pool._on_start = [fail]
    with pytest.raises(Aborted, match="broken"):
        Respawner(pool).recycle(old)
    assert generation.workers == [old] and old.state == "live"
    assert pool.scoreboard.service_fields[RECYCLED] == 0


def test_a_stuck_worker_without_a_replacement_is_killed(pool: FakePool) -> None:
    (stuck,) = serve(pool).workers
    pool._on_start = [fail]
    Respawner(pool).replace_stuck(stuck)
    assert stuck.killed and any("cannot be replaced" in text for text in pool.fake_log.texts)


def test_a_worker_that_does_not_accept_is_killed(pool: FakePool, tmp_path: Path) -> None:
    generation, pauses = serve(pool, 0), []

    def not_accept(worker: FakeWorker) -> None:
        worker.report_ready()
        worker.answers["accept"] = None

    pool._on_start = [not_accept, be_ready]
    Respawner(pool, pauses.append).refill(generation, 0)
    refused, good = pool.created
    assert refused.killed and generation.workers == [good] and pauses == [0.1]


def test_a_worker_counts_those_before_it_from_its_start(pool: FakePool) -> None:
    seen: list[list[int]] = []
    generation, respawner = serve(pool), Respawner(pool)
    (lost,) = generation.workers

    def start(worker: FakeWorker) -> None:
        seen.append([each.describe()["restarts"] for each in pool.list_workers()])
        worker.report_ready()

    pool._on_start = [start]
    lost.die()
    respawner.replace_lost(lost)
    assert seen == [[1]], "status said that it was the first in its place"
