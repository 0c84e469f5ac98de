"""Requests between their arrival and `run()`: how many may wait, how long, and how long a call may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from ..http.exchange import Exchange
from ..ipc.scoreboard import BEAT, Slot
from ..scoring.messages import Request, Response, error_response
from ..settings import Settings
from .jobs import BatchResult, Job, unanswered
from .script_thread import ScriptThread

TICK = 0.05  # seconds between two looks at the deadlines

STUCK_AFTER = 0.5  # seconds that run() may go on after its deadline before the worker is replaced


class RequestQueue:
    """The queue before `run()`, on the loop's thread. `finish(exchange, response)` gets every answer, or

    `finish_together(jobs, shared)` those of one call.

    A call that passes its deadline is answered with 504 and interrupted; when it does not end, `on_stuck` is called,
    for the worker must be replaced.
    """

    def __init__(
        self,
        settings: Settings,
        slot: Slot,
        finish: Callable[[Exchange, Response], None],
        finish_together: Callable[[list[Job], BatchResult], None],
        on_stuck: Callable[[], None],
    ) -> None:
        self._runner: ScriptThread = cast(Any, None)  # there before the service is ready
        self._slot = slot
        self._finish = finish
        self._finish_together = finish_together
        self._on_stuck = on_stuck
        self._limit = settings.scoring_timeout_ms / 1000
        self._patience = settings.max_queue_wait_ms / 1000
        self._most = settings.max_queue
        self._jobs: dict[Job, None] = {}
        self._ticking = self._stuck = False

    def use(self, runner: ScriptThread) -> None:
        self._runner = runner
        runner.on_done = self._done
        runner.on_together = self._done_together

    @property
    def busy(self) -> bool:
        """Whether requests wait or run."""
        return bool(self._jobs)

    def submit(self, x: Exchange, request: Request) -> None:
        """Lets the request wait for `run()`, or refuses it: 429 when too many do."""
        if self._stuck:
            self._finish(x, _replacing())
            return
        if self._runner.waiting >= self._most:
            text = f"{self._most} requests are waiting already"
            self._finish(x, _later(error_response(429, "too-many-requests", text, "", "Try again in a second.")))
            return
        if not self._ticking:
            self._start_ticking()  # a beat before there is a request in hand: see vigil.py
        job = x.job = Job(x, request)
        x.place = self._slot.begin_request(x.id.encode("latin-1", "replace"))
        self._jobs[job] = None
        self._runner.submit(job)

    def abandon(self, x: Exchange) -> None:
        """Nobody waits for it any more. A call that runs goes on."""
        if x.job is not None:
            self._runner.abandon(x.job)
            if not (x.job.taken or x.job.running):  # one that runs, or will in a moment, has a deadline all the same
                self._jobs.pop(x.job, None)
        self.forget(x)

    def forget(self, x: Exchange) -> None:
        """It is no longer in hand."""
        x.job = None  # each knows the other: nobody would free them before the collector
        if x.place != -2:
            self._slot.end_request(x.place)
            x.place = -2

    def _done(self, job: Job) -> None:
        self._jobs.pop(job, None)
        response = job.response
        if job.late:  # answered already
            if response is not None:
                response.error = None
            return
        if response is None:
            if job.abandoned:
                return
            if self._limit and time.perf_counter() - job.started > self._limit:
                self._answer_late(job)  # its call was ended for another request of the same batch
                return
            response = unanswered()
        response.timings["queue"] = (job.started - job.queued) * 1000
        if "run" in response.timings:
            self._slot.observe("batch", job.batch)
        self._finish(job.exchange, response)

    def _done_together(self, shared: BatchResult) -> None:
        """Those that are late are answered already."""
        for job in shared.jobs:
            self._jobs.pop(job, None)
        jobs = [job for job in shared.jobs if not job.late]
        if jobs:
            self._slot.observe("batch", len(shared.jobs), len(jobs))
            self._finish_together(jobs, shared)

    def _start_ticking(self) -> None:
        self._ticking = True
        self._slot.fields[BEAT] = int(time.monotonic() * 1000)
        assert self._runner.loop is not None
        self._runner.loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        """Ends the waiting for jobs whose time is over."""
        now = time.perf_counter()
        for job in list(self._jobs):
            if job.late or job.done:
                continue
            if job.running:
                if self._limit and now - job.started > self._limit:
                    self._interrupt(job)
            elif not job.started and self._patience and now - job.queued > self._patience:
                job.late = True
                self._runner.abandon(job)
                self._jobs.pop(job, None)
                text = f"run() was busy for {self._patience:g} s"
                self._finish(
                    job.exchange, _later(error_response(503, "overloaded", text, "", "Try again in a second."))
                )
        if self._jobs:
            self._start_ticking()
        else:
            self._ticking = False

    def _interrupt(self, job: Job) -> None:
        self._runner.interrupt(job)
        assert self._runner.loop is not None
        self._runner.loop.call_later(STUCK_AFTER, self._check_stuck, job)
        self._answer_late(job)

    def _answer_late(self, job: Job) -> None:
        job.late = True
        text = f"run() did not end within {self._limit * 1000:g} ms"
        response = error_response(
            504, "run-timeout", text, "run()", "Raise scoring_timeout_ms, or send fewer rows at a time."
        )
        response.failed = True
        response.timings = {"queue": (job.started - job.queued) * 1000}
        self._finish(job.exchange, response)

    def _check_stuck(self, job: Job) -> None:
        if job.done or not job.running or self._stuck:
            return
        self._stuck = True
        for waiting in list(self._jobs):  # its turn would come only when the hung call ends
            if not waiting.running and not waiting.done and not waiting.late:
                waiting.late = True
                self._runner.abandon(waiting)
                self._jobs.pop(waiting, None)
                self._finish(waiting.exchange, _replacing())
        self._on_stuck()


def _replacing() -> Response:
    text = "run() of another request hangs; its worker is being replaced"
    return _later(error_response(503, "worker-stuck", text, "", "Try again in a second."))


def _later(response: Response) -> Response:
    return response.add_header(b"retry-after", b"1")
