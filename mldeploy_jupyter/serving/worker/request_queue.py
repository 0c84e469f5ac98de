"""The requests that wait for `run()`: how many, how long, and how long a call may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from ..http.direct_poll import Timers
from ..http.exchange import Exchange
from ..ipc.scoreboard import BEAT, UNFINISHED, Slot
from ..scoring.messages import Response, error_response
from ..settings import Settings
from .jobs import BatchResult, Job, unanswered
from .script_thread import ScriptThread

TICK = 0.05  # seconds between two checks of the deadlines

STUCK_AFTER = 0.5  # seconds that run() may go on after its deadline before the worker is replaced


class RequestQueue:
    """The queue before `run()`. Everything runs with the lock of `http.direct_poll`, usually on the loop's thread.

    `send_response(exchange, response)` gets every answer, except those of a batch: `send_batch(result)`.

    A call that passes its deadline is answered with 504 and interrupted. If it does not end, `on_stuck` is called:
    the worker must be replaced.
    """

    def __init__(
        self,
        settings: Settings,
        slot: Slot,
        loop: Timers,
        send_response: Callable[[Exchange, Response], None],
        send_batch: Callable[[BatchResult], None],
        on_stuck: Callable[[], None],
    ) -> None:
        self._script_thread: ScriptThread = cast(Any, None)  # attached before the service is ready
        self._slot = slot
        self._loop = loop
        self._send_response = send_response
        self._send_batch = send_batch
        self._on_stuck = on_stuck
        self._run_limit = settings.scoring_timeout_ms / 1000  # seconds
        self._wait_limit = settings.max_queue_wait_ms / 1000  # seconds
        self._max_waiting = settings.max_queue
        self._jobs: dict[Job, None] = {}
        self._ticking = self._stuck = False

    def attach(self, script_thread: ScriptThread) -> None:
        """Requests go to this thread from now on."""
        self._script_thread = script_thread
        script_thread.on_job_done = self._on_job_done
        script_thread.on_batch_done = self._on_batch_done

    @property
    def busy(self) -> bool:
        """Whether requests wait or run."""
        return bool(self._jobs)

    @property
    def oldest(self) -> Job | None:
        """The job that has been here longest; None when there is none."""
        return next(iter(self._jobs), None)

    @property
    def running(self) -> bool:
        """Whether a call of `run()` is being made."""
        return any(job.running for job in self._jobs)

    @property
    def full_for(self) -> float:
        """Seconds since when the script has had no thread for another call; 0 if it has one."""
        started = [job.started for job in self._jobs if job.running]
        full = started and len(started) >= self._script_thread.capacity
        return time.perf_counter() - max(started) if full else 0.0

    def submit(self, exchange: Exchange) -> None:
        """Queues a request for `run()`, or refuses it with 429 when too many wait."""
        if self._stuck:
            self._send_response(exchange, _worker_stuck())
            return
        if self._script_thread.waiting >= self._max_waiting:
            text = f"{self._max_waiting} requests are waiting already"
            refusal = error_response(429, "too-many-requests", text, "", "Try again in a second.")
            self._send_response(exchange, add_retry_after(refusal))
            return
        if not self._ticking:
            # The first beat comes before the first request in flight: the watchdog looks for a worker with requests
            # whose beat is old.
            self._start_ticking()
        job = exchange.job = Job(exchange, exchange)
        exchange.scoreboard_index = self._slot.begin_request(exchange.id.encode("latin-1", "replace"))
        self._jobs[job] = None
        self._script_thread.submit(job)

    def abandon(self, exchange: Exchange) -> None:
        """Drops a request whose client disconnected. A call that runs is not ended."""
        job = exchange.job
        if job is not None:
            self._script_thread.abandon(job)
            if not (job.claimed or job.running):  # a call that runs, or is about to, still has its deadline
                self._jobs.pop(job, None)
            else:
                self._record_unfinished()
        self.release(exchange)

    def release(self, exchange: Exchange) -> None:
        """Ends a request: it is no longer in flight."""
        exchange.job = None  # break the reference cycle so both are freed without a garbage collection
        if exchange.scoreboard_index != -2:
            self._slot.end_request(exchange.scoreboard_index)
            exchange.scoreboard_index = -2

    def release_batch(self, jobs: list[Job]) -> None:
        """As `release`, for the requests of all jobs."""
        exchanges = [job.exchange for job in jobs]
        self._slot.end_requests([each.scoreboard_index for each in exchanges if each.scoreboard_index != -2])
        for exchange in exchanges:
            exchange.job = None
            exchange.scoreboard_index = -2

    def _on_job_done(self, job: Job) -> None:
        self._jobs.pop(job, None)
        if self._slot.state[UNFINISHED]:
            self._record_unfinished()
        response = job.response
        if job.expired:  # answered already
            if response is not None:
                response.error = None
            return
        if response is None:
            if job.abandoned:
                return
            if self._run_limit and time.perf_counter() - job.started > self._run_limit:
                self._expire_running(job)  # its call was ended for another request of the same batch
                return
            response = unanswered()
        response.timings["queue"] = (job.started - job.queued) * 1000
        self._send_response(job.exchange, response)
        if "run" in response.timings:  # after the answer: the client waits for that
            if job.batch == 1:
                self._slot.observe_lone()
            else:
                self._slot.observe("batch", job.batch)

    def _on_batch_done(self, result: BatchResult) -> None:
        remove = self._jobs.pop
        for job in result.jobs:
            remove(job, None)
        if self._slot.state[UNFINISHED]:
            self._record_unfinished()
        result.drop_expired()  # they are answered already
        if result.jobs:
            self._slot.observe("batch", result.size, len(result.jobs))
            self._send_batch(result)

    # -- deadlines ------------------------------------------------------------------------------------

    def _start_ticking(self) -> None:
        self._ticking = True
        self._slot.fields[BEAT] = int(time.monotonic() * 1000)
        self._loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        """Expires the jobs that have waited or run too long. Ticks as long as there are jobs."""
        now = time.perf_counter()
        for job in list(self._jobs):
            if job.expired or job.done:
                continue
            if job.running:
                if self._run_limit and now - job.started > self._run_limit:
                    self._script_thread.interrupt(job)
                    self._loop.call_later(STUCK_AFTER, self._check_stuck, job)
                    self._expire_running(job)
            elif not job.started and self._wait_limit and now - job.queued > self._wait_limit:
                text = f"run() was busy for {self._wait_limit:g} s"
                refusal = error_response(503, "overloaded", text, "", "Try again in a second.")
                self._expire_waiting(job, add_retry_after(refusal))
        if self._jobs:
            self._start_ticking()
        else:
            self._ticking = False

    def _record_unfinished(self) -> None:
        """Other workers see no request in flight while such a call goes on, and leave connections to a free worker."""
        self._slot.state[UNFINISHED] = sum(job.expired or job.abandoned for job in self._jobs)

    def _expire_running(self, job: Job) -> None:
        job.expired = True
        self._record_unfinished()
        text = f"run() did not end within {self._run_limit * 1000:g} ms"
        response = error_response(
            504, "run-timeout", text, "run()", "Raise scoring_timeout_ms, or send fewer rows at a time."
        )
        response.failed = True
        response.timings = {"queue": (job.started - job.queued) * 1000}
        self._send_response(job.exchange, response)

    def _expire_waiting(self, job: Job, response: Response) -> None:
        job.expired = True
        self._script_thread.abandon(job)
        self._jobs.pop(job, None)
        self._send_response(job.exchange, response)

    def _check_stuck(self, job: Job) -> None:
        if job.done or not job.running or self._stuck:
            return
        self._stuck = True
        for other in list(self._jobs):  # they would be called only after the hung call ends
            if not other.running and not other.done and not other.expired:
                self._expire_waiting(other, _worker_stuck())
        self._on_stuck()


def _worker_stuck() -> Response:
    text = "run() of another request hangs; its worker is being replaced"
    return add_retry_after(error_response(503, "worker-stuck", text, "", "Try again in a second."))


def add_retry_after(response: Response) -> Response:
    """Tells the client to try again in a second. Returns the response itself."""
    return response.add_header(b"retry-after", b"1")
