"""The queue before `run()`: deadlines of waiting and running requests, refusals, and a script that hangs."""

from __future__ import annotations

import threading
import time

import pytest

from mldeploy_jupyter.serving.ipc.scoreboard import IN_FLIGHT, UNFINISHED
from mldeploy_jupyter.serving.scoring.messages import Response
from mldeploy_jupyter.serving.worker.jobs import Job
from mldeploy_jupyter.serving.worker.script_thread import ScriptThread
from tests.polling import wait_for_value, wait_until
from tests.unit.serving.worker.queue_bench import QueueBench


class BlockedThread(ScriptThread):
    """Answers with 200, each job once `blocked` is released. Deadlines cannot interrupt it."""

    def __init__(self) -> None:
        super().__init__()
        self.blocked = threading.Semaphore(0)
        self.process = self._process

    def interrupt(self, job: Job) -> None:
        job.interrupted = True

    def _process(self, jobs: list[Job]) -> None:
        self.attempt(jobs, self.blocked.acquire)
        for job in jobs:
            job.response = Response(200)
        self.deliver(jobs)


def test_a_call_that_ended_after_its_deadline_without_an_answer_is_answered_with_504() -> None:
    """A deadline's signal is sent for one request of a batch; the call may end before the others are checked."""
    script_thread = ScriptThread()

    def process(jobs: list[Job]) -> None:
        script_thread.attempt(jobs, lambda: None)
        jobs[0].started = time.perf_counter() - 1
        script_thread.deliver(jobs)

    script_thread.process = process
    bench = QueueBench(script_thread, scoring_timeout_ms=500)
    try:
        bench.submit("b")
        assert bench.answered.wait(60) and bench.answers == [("b", 504)]
    finally:
        bench.close()


def test_a_full_queue_refuses_with_429_and_takes_requests_again() -> None:
    script_thread = BlockedThread()
    bench = QueueBench(script_thread, max_queue=1)
    try:
        bench.submit("runs")
        wait_until(lambda: script_thread.waiting == 0 and bench.slot.fields[IN_FLIGHT] == 1)
        bench.submit("waits")
        bench.submit("refused")
        assert bench.answered.wait(60) and bench.answers == [("refused", 429)]
        script_thread.blocked.release(2)
        wait_until(lambda: len(bench.answers) == 3)
        assert bench.answers[1:] == [("runs", 200), ("waits", 200)]
        assert bench.slot.fields[IN_FLIGHT] == 0 and not bench.queue.busy
    finally:
        bench.close()


def test_a_request_that_waits_too_long_is_answered_with_503_and_never_called() -> None:
    script_thread = BlockedThread()
    bench = QueueBench(script_thread, max_queue_wait_ms=60)
    try:
        bench.submit("runs")
        bench.submit("waits")
        assert bench.answered.wait(60) and bench.answers == [("waits", 503)]
        assert script_thread.waiting == 0, "an expired request does not count as waiting"
        script_thread.blocked.release(2)
        wait_until(lambda: len(bench.answers) == 2)
        assert bench.answers[1] == ("runs", 200)
    finally:
        bench.close()


def test_an_abandoned_request_is_skipped_and_frees_its_place_in_the_queue() -> None:
    script_thread = BlockedThread()
    bench = QueueBench(script_thread)
    try:
        bench.submit("runs")
        abandoned = bench.submit("abandoned")
        wait_until(lambda: script_thread.waiting == 1)
        bench.loop.call_soon_threadsafe(bench.queue.abandon, abandoned)
        wait_until(lambda: script_thread.waiting == 0)
        bench.submit("last")
        script_thread.blocked.release(3)
        wait_until(lambda: len(bench.answers) == 2)
        assert bench.answers == [("runs", 200), ("last", 200)]
        assert bench.slot.fields[IN_FLIGHT] == 0
    finally:
        bench.close()


@pytest.mark.parametrize("waiting", [0, 2])
def test_a_call_that_cannot_be_interrupted_makes_the_worker_stuck(waiting: int) -> None:
    """The hung request gets 504; those behind it, and later ones, 503 so that their clients try another worker."""
    script_thread = BlockedThread()
    bench = QueueBench(script_thread, scoring_timeout_ms=60)
    try:
        bench.submit("hangs")
        for number in range(waiting):
            bench.submit(f"waits {number}")
        wait_until(lambda: bench.stuck == 1)
        bench.submit("later")
        wait_until(lambda: len(bench.answers) == 2 + waiting)
        assert bench.answers[0] == ("hangs", 504) and {status for _, status in bench.answers[1:]} == {503}
        assert bench.slot.fields[IN_FLIGHT] == 0
    finally:
        script_thread.blocked.release(1 + waiting)
        bench.close()


def test_a_call_that_goes_on_after_its_request_is_counted_for_the_other_workers() -> None:
    script_thread = BlockedThread()
    bench = QueueBench(script_thread, scoring_timeout_ms=100)
    try:
        bench.submit("expires")
        assert bench.answered.wait(60) and bench.answers == [("expires", 504)]
        assert (bench.slot.fields[IN_FLIGHT], bench.slot.state[UNFINISHED]) == (0, 1) and bench.queue.full_for > 0.1
        script_thread.blocked.release()
        wait_for_value(lambda: bench.slot.state[UNFINISHED], 0)
        assert bench.queue.full_for == 0
    finally:
        script_thread.blocked.release()
        bench.close()


def test_a_call_whose_client_has_left_is_counted_for_the_other_workers() -> None:
    script_thread = BlockedThread()
    bench = QueueBench(script_thread)
    try:
        exchange = bench.submit("leaves")
        wait_until(lambda: bench.queue.running)
        bench.loop.call_soon_threadsafe(bench.queue.abandon, exchange)
        wait_for_value(lambda: (bench.slot.fields[IN_FLIGHT], bench.slot.state[UNFINISHED]), (0, 1))
        script_thread.blocked.release()
        wait_for_value(lambda: bench.slot.state[UNFINISHED], 0)
    finally:
        script_thread.blocked.release()
        bench.close()
