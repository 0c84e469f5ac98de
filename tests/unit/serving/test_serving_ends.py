"""Every request gets one answer, whatever ends its call; what a connection or a worker is ended with."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

from mldeploy_jupyter.serving.http.exchange import Exchange
from mldeploy_jupyter.serving.ipc.scoreboard import IN_FLIGHT, Scoreboard
from mldeploy_jupyter.serving.scoring.messages import Request, Response
from mldeploy_jupyter.serving.settings import Settings
from mldeploy_jupyter.serving.worker.jobs import Job
from mldeploy_jupyter.serving.worker.request_queue import RequestQueue
from mldeploy_jupyter.serving.worker.script_thread import AsyncScriptThread, ScriptThread


class Line:
    """A queue on a loop of its own, and the answers that came out of it."""

    def __init__(self, runner: ScriptThread, **settings: Any) -> None:
        self.loop, self.answers, self.came = asyncio.new_event_loop(), [], threading.Event()
        self.board = Scoreboard()
        self.slot = self.board.slot(self.board.assign_slot())
        self.queue = RequestQueue(Settings(**settings), self.slot, self.finish, lambda jobs, shared: None, lambda: None)
        self.runner = runner
        runner.loop = self.loop
        self.queue.use(runner)
        self.serving = [threading.Thread(target=runner.serve), threading.Thread(target=self.loop.run_forever)]
        for thread in self.serving:
            thread.start()

    def finish(self, x: Exchange, response: Response) -> None:
        self.answers.append((x.id, response.status))
        self.queue.forget(x)
        self.came.set()

    def ask(self, name: str) -> None:
        x = Exchange(None, 0.0)  # type: ignore[arg-type]
        x.id = name
        self.loop.call_soon_threadsafe(self.queue.submit, x, Request(id=name))

    def end(self) -> None:
        self.runner.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        for thread in self.serving:
            thread.join(5)
        self.loop.close()


def test_an_async_run_that_is_cancelled_by_itself_is_a_failed_call() -> None:
    async def score(request: Request) -> Response:
        raise asyncio.CancelledError

    runner = AsyncScriptThread(asyncio.new_event_loop)
    runner.score = score
    line = Line(runner)
    try:
        line.ask("a")
        assert line.came.wait(5) and line.answers == [("a", 500)]
        assert line.slot.fields[IN_FLIGHT] == 0
    finally:
        line.end()
        runner.user_loop.close()


def test_a_call_that_raises_beyond_all_care_is_answered_and_the_thread_goes_on() -> None:
    runner = ScriptThread()

    def work(jobs: list[Job]) -> None:
        if jobs[0].request.id == "bad":
            runner.attempt(jobs, lambda: (_ for _ in ()).throw(SystemExit(1)))
        jobs[0].response = Response(200)
        runner.done(jobs)

    runner.work = work
    line = Line(runner)
    try:
        for name, status in (("bad", 500), ("good", 200)):
            line.came.clear()
            line.ask(name)
            assert line.came.wait(5) and line.answers[-1] == (name, status)
    finally:
        line.end()


def test_a_call_that_ended_at_its_deadline_before_all_were_told_answers_504() -> None:
    """The deadline's signal is sent for one request of a batch; the call may end before the others are looked at."""
    runner = ScriptThread()

    def work(jobs: list[Job]) -> None:
        runner.attempt(jobs, lambda: None)
        jobs[0].started = time.perf_counter() - 1
        runner.done(jobs)

    runner.work = work
    line = Line(runner, scoring_timeout_ms=500)
    try:
        line.ask("b")
        assert line.came.wait(5) and line.answers == [("b", 504)]
    finally:
        line.end()
