"""The script's thread: every job is delivered, whatever ends its call."""

from __future__ import annotations

import asyncio

from mldeploy_jupyter.serving.ipc.scoreboard import IN_FLIGHT
from mldeploy_jupyter.serving.scoring.messages import Request, Response
from mldeploy_jupyter.serving.worker.jobs import Job
from mldeploy_jupyter.serving.worker.script_thread import AsyncScriptThread, ScriptThread
from tests.unit.serving.worker.queue_bench import QueueBench


def test_an_async_run_that_cancels_itself_is_answered_with_500() -> None:
    async def score(request: Request) -> Response:
        raise asyncio.CancelledError

    script_thread = AsyncScriptThread(asyncio.new_event_loop)
    script_thread.score = score
    bench = QueueBench(script_thread)
    try:
        bench.submit("a")
        assert bench.answered.wait(60) and bench.answers == [("a", 500)]
        assert bench.slot.fields[IN_FLIGHT] == 0
    finally:
        bench.close()
        script_thread.user_loop.close()


def test_a_call_that_raises_system_exit_is_answered_and_the_thread_goes_on() -> None:
    script_thread = ScriptThread()

    def process(jobs: list[Job]) -> None:
        if jobs[0].request.id == "bad":
            script_thread.attempt(jobs, lambda: (_ for _ in ()).throw(SystemExit(1)))
        jobs[0].response = Response(200)
        script_thread.deliver(jobs)

    script_thread.process = process
    bench = QueueBench(script_thread)
    try:
        for name, status in (("bad", 500), ("good", 200)):
            bench.answered.clear()
            bench.submit(name)
            assert bench.answered.wait(60) and bench.answers[-1] == (name, status)
    finally:
        bench.close()
