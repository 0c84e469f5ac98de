"""The thread that runs the script, while the loop's thread keeps answering.

It is the main thread: `init()` and every `run()` have the thread that a v1 script had, so whatever is bound to a thread
works (an SQLite connection, a signal handler). With `max_concurrent` above 1 more threads help. Handing a request over
costs two queue operations; one wake-up of the loop delivers everything that is finished by then.
"""

from __future__ import annotations

import asyncio
import ctypes
import math
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any, cast

from ..ipc.failure import describe, traceback_text
from ..log import writer
from ..scoring.messages import DeadlineExceeded, Request, Response
from .jobs import BatchResult, Job, unanswered
from .lead import Lead

EXPIRED = object()  # what `attempt` returns when a deadline ended the call

_SIGNAL = signal.SIGRTMIN + 5 if hasattr(signal, "SIGRTMIN") else 0  # one that scripts and libraries do not use


class ScriptThread:
    """Runs jobs in the order of their arrival, in the main thread and `threads - 1` more.

    `process(jobs)` answers at most `max_jobs` jobs: it makes each call of `run()` with `attempt`, then passes its jobs
    to `deliver` or `deliver_batch`. `on_job_done(job)` and `on_batch_done(result)` are called on the loop's thread.
    """

    def __init__(self, threads: int = 1) -> None:
        self.process: Callable[[list[Job]], None] = lambda jobs: None
        self.max_jobs = 1
        self.on_job_done: Callable[[Job], None] = lambda job: None
        self.on_batch_done: Callable[[BatchResult], None] = lambda result: None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.lead: Lead | None = None
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._finished: deque[Job | BatchResult] = deque()
        self._waking = False
        self._lock = threading.Lock()
        self.capacity: float = threads  # calls at once
        self._threads = threads
        self._stopping = False
        self._main_jobs: list[Job] = []  # what the main thread runs now
        self._main_thread = 0  # the thread that signals reach, 0 if none does
        self._abandoned = self._skipped = 0  # jobs abandoned in the queue; how many of them have left it

    @property
    def waiting(self) -> int:
        """How many jobs wait in the queue, without abandoned ones."""
        return self._queue.qsize() - (self._abandoned - self._skipped)

    def submit(self, job: Job) -> None:
        self._queue.put(job)
        if self.lead is not None and self.lead.direct.active:
            self.lead.direct.wake()

    def let_lead(self, lead: Lead) -> None:
        """Lets the script's thread serve connections itself while calls are short. Call it before `serve`."""
        if self._threads == 1:
            self.lead = lead
            lead.direct.on_stopped = self._dispatch_finished

    def abandon(self, job: Job) -> None:
        """Makes the queue skip a job, which no longer counts as waiting. Call it on the loop's thread."""
        with self._lock:
            if not job.abandoned:
                job.abandoned = True
                self._abandoned += not job.claimed

    def poke(self) -> Callable[[], bool]:
        """Asks for a sign of life, in turn after the waiting jobs. The function returned says whether it came."""
        job = Job(None, cast(Any, None))  # an abandoned job is taken and makes no call
        self.abandon(job)
        self.submit(job)
        return lambda: job.claimed

    def serve(self) -> None:
        """Runs jobs in this thread until `stop`."""
        if _SIGNAL and threading.current_thread() is threading.main_thread():
            signal.signal(_SIGNAL, self._on_signal)
            self._main_thread = threading.get_ident()
        for _ in range(self._threads - 1):
            threading.Thread(target=self._serve_thread, daemon=True).start()
        self._serve_thread()

    def stop(self) -> None:
        self._stopping = True
        for _ in range(self._threads):
            self._queue.put(None)
        if self.lead is not None and self.lead.direct.active:
            self.lead.direct.wake()

    # -- finished jobs --------------------------------------------------------------------------------

    def deliver(self, jobs: list[Job]) -> None:
        """Hands finished jobs to the loop. Any thread may call it."""
        for job in jobs:
            job.done = True
        self._finished.extend(jobs)
        self._wake_loop()

    def deliver_batch(self, result: BatchResult) -> None:
        """As `deliver`, for the jobs of one batch."""
        for job in result.jobs:
            job.done = True
        self._finished.append(result)
        self._wake_loop()

    def _wake_loop(self) -> None:
        if self.lead is not None and self.lead.direct.active:
            return  # answered at the end of this turn, or by `on_stopped`
        if not self._waking and self.loop is not None:
            self._waking = True
            try:
                self.loop.call_soon_threadsafe(self._dispatch_finished)
            except RuntimeError:  # the loop is closed: no client is connected
                pass

    def _dispatch_finished(self) -> None:
        self._waking = False
        if self.lead is None:
            while self._finished:
                self._dispatch(self._finished.popleft())
            return
        with self.lead.direct.lock:
            while self._finished:
                self._dispatch(self._finished.popleft())

    def _dispatch(self, finished: Job | BatchResult) -> None:
        if isinstance(finished, BatchResult):
            self.on_batch_done(finished)
        else:
            self.on_job_done(finished)

    # -- the script's threads -------------------------------------------------------------------------

    def _serve_thread(self) -> None:
        while True:
            try:
                self._process_queue()
                return
            except DeadlineExceeded:
                continue  # raised just after its call had ended
            except Exception as error:  # of a signal handler of the script's, between two calls
                text = f"the script's thread was interrupted between two calls: {describe(error)}"
                writer.log(text, level="error", traceback=traceback_text(error))

    def _process_queue(self) -> None:
        waiting, lead = self._queue, self.lead
        while (job := waiting.get() if lead is None or not lead.direct.active else self._next_job(lead)) is not None:
            jobs = self._claim(job)
            if jobs and lead is None:
                self._process(jobs)
            elif jobs and lead is not None:
                lead.begin()
                self._process(jobs)
                lead.end(jobs[0].exchange.known)

    def _claim(self, job: Job) -> list[Job]:
        """The job and, for a batch, more that wait; without abandoned ones."""
        waiting, claimed = self._queue, [job]
        try:
            for _ in range(min(waiting.qsize(), self.max_jobs - 1)):
                more = waiting.get_nowait()
                if more is None:
                    waiting.put(None)
                    break
                claimed.append(more)
        except queue.Empty:  # another thread was quicker
            pass
        with self._lock:
            for job in claimed:
                job.claimed = True
            if self._abandoned == self._skipped:  # none is in the queue, nor was: the usual case
                return claimed
            jobs = [job for job in claimed if not job.abandoned]
            self._skipped += len(claimed) - len(jobs)
        return jobs

    def _process(self, jobs: list[Job]) -> None:
        try:
            self.process(jobs)
        except BaseException as error:  # every client must get an answer, and this thread must go on
            if not isinstance(error, DeadlineExceeded):
                text = f"a call was not brought to its end: {describe(error)}"
                writer.log(text, level="error", traceback=traceback_text(error))
            unfinished = [job for job in jobs if not job.done]
            for job in unfinished:
                job.running = False
            self.deliver(unfinished)

    # -- the script's thread leads --------------------------------------------------------------------

    def _next_job(self, lead: Lead) -> Job | None:
        """The next job, read from a connection by this thread or queued by the loop's. None: `stop` was called."""
        waiting = self._queue
        while lead.direct.active:
            if waiting.qsize() and lead.has_turn:
                break
            if self._finished:
                lead.direct.answer(self._answer_finished)
            lead.wait(block=not waiting.qsize())
            if self.max_jobs > 1:
                self._read_rest(lead)
        return waiting.get()  # this thread is its only consumer

    def _read_rest(self, lead: Lead) -> None:
        """Reads on while each look finds more requests, up to a full batch.

        The clients of the last batch got their answers one after the other, and their next requests come so, too: while
        the first ones are read, others arrive. Two calls for them would cost far more than another look.
        """
        waiting, read = self._queue, 0
        while lead.direct.active and read < (queued := waiting.qsize()) < self.max_jobs:
            read = queued
            lead.direct.wait(block=False)

    def _answer_finished(self) -> None:
        """Sends the answers on connections that this thread serves; the others are for the loop's thread."""
        finished = self._finished
        while finished:
            result = finished.popleft()
            send: Callable[[Any], None] = self.on_job_done
            if isinstance(result, Job):
                is_direct = result.exchange.connection.direct_fd >= 0
            else:
                send = self.on_batch_done
                is_direct = min([job.exchange.connection.direct_fd for job in result.jobs]) >= 0
            if not is_direct:
                self._call_loop(send, result)
                continue
            try:
                send(result)
            except BaseException:  # of a signal handler of the script's: the loop's thread has none
                self._call_loop(self._drop, result)
                raise

    def _drop(self, finished: Job | BatchResult) -> None:
        """Ends jobs whose answer was interrupted, and closes their connections."""
        for job in finished.jobs if isinstance(finished, BatchResult) else [finished]:
            connection = job.exchange.connection
            self.on_job_done(job)
            if self.lead is not None:
                self.lead.direct.drop(connection)

    def _call_loop(self, callback: Callable[[Any], None], argument: Any) -> None:
        if self.lead is not None and self.loop is not None:
            self.loop.call_soon_threadsafe(self.lead.direct.call, callback, argument)

    def attempt(self, jobs: list[Job], call: Callable[..., Any], *arguments: Any) -> Any:
        """Makes a call that answers these jobs, in this thread. Returns `EXPIRED` if a deadline ended it.

        A call may be attempted again for the same jobs; `deliver` follows the last attempt.
        """
        now, thread = perf_counter(), threading.get_ident()
        is_main = thread == self._main_thread
        try:
            if is_main:
                self._main_jobs = jobs  # before they are running: the signal for a running job is sent only once
            for job in jobs:
                job.thread, job.started, job.interrupted, job.running = thread, now, False, True
            if not is_main:
                return call(*arguments)
            result = call(*arguments)
            self._main_jobs = []  # from here on a signal raises nothing
            return result
        except DeadlineExceeded:
            return EXPIRED
        finally:  # after this, no exception is raised in this thread for these jobs
            if is_main:
                self._main_jobs = []
                for job in jobs:
                    job.running = False
            else:
                self._end_attempt(jobs)

    def _end_attempt(self, jobs: list[Job]) -> None:
        try:
            with self._lock:
                for job in jobs:
                    job.running = False
            if any(job.interrupted for job in jobs):
                for _ in range(1000):  # let an exception that is set but not delivered yet arrive here
                    pass
        except DeadlineExceeded:
            for job in jobs:
                job.running = False

    # -- interruption ---------------------------------------------------------------------------------

    def interrupt(self, job: Job) -> None:
        """Raises `DeadlineExceeded` in the thread that runs the job, if one does.

        The main thread gets a signal, which also ends a sleep or a wait for a socket. Another thread gets the exception
        when it next runs Python code.
        """
        with self._lock:
            if not job.running or job.interrupted:
                return
            job.interrupted = True
            if job.thread == self._main_thread:
                signal.pthread_kill(job.thread, _SIGNAL)
            else:
                raised = ctypes.py_object(DeadlineExceeded)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(job.thread), raised)

    def _on_signal(self, number: int, frame: Any) -> None:
        jobs = self._main_jobs
        if any(job.interrupted for job in jobs):
            self._main_jobs = []  # raise once
            raise DeadlineExceeded


class AsyncScriptThread(ScriptThread):
    """Runs `async def run` on its own loop in the script's thread: a script that blocks does not block liveness.

    `score(request)` is a coroutine function; `on_error(error, request)` makes the response of a call that raised.
    """

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        super().__init__()
        self.capacity = math.inf
        self.user_loop = new_loop()
        self.score: Callable[[Request], Any] = lambda request: None
        self.on_error: Callable[[BaseException, Request], Response] = lambda error, request: unanswered()
        self._unfinished = 0

    @property
    def waiting(self) -> int:
        """How many jobs are unfinished: all of them run side by side."""
        return self._unfinished

    def abandon(self, job: Job) -> None:
        job.abandoned = True

    def submit(self, job: Job) -> None:
        self._unfinished += 1
        self.user_loop.call_soon_threadsafe(self._start_job, job)

    def poke(self) -> Callable[[], bool]:
        answered = threading.Event()
        self.user_loop.call_soon_threadsafe(answered.set)
        return answered.is_set

    def serve(self) -> None:
        asyncio.set_event_loop(self.user_loop)
        while not self._stopping:
            try:
                self.user_loop.run_forever()
            except BaseException as error:  # a task of the script's may call sys.exit()
                if isinstance(error, (KeyboardInterrupt, SystemExit)):
                    continue
                raise

    def stop(self) -> None:
        self._stopping = True
        self.user_loop.call_soon_threadsafe(self.user_loop.stop)

    def interrupt(self, job: Job) -> None:
        if not job.interrupted:
            job.interrupted = True
            self.user_loop.call_soon_threadsafe(lambda: job.task.cancel() if job.task is not None else None)

    def run_until_complete(self, awaitable: Any) -> Any:
        """Runs the sample on the loop that will run the requests. Call it before `serve`."""
        asyncio.set_event_loop(self.user_loop)
        return self.user_loop.run_until_complete(awaitable)

    def _start_job(self, job: Job) -> None:
        # Running first: the loop's thread, if it abandons the job now, then knows that it will be delivered.
        job.started, job.running = perf_counter(), True
        if job.abandoned:
            self._unfinished -= 1
            job.running = False
            self.deliver([job])
            return
        job.task = self.user_loop.create_task(self._run_job(job))

    async def _run_job(self, job: Job) -> None:
        writer.request_id.set(job.request.id)  # of this task, and of those that it starts
        try:
            job.response = await self.score(job.request)
        except BaseException as error:  # its deadline passed, and it is answered already; or the script raised it
            if not job.interrupted:
                job.response = self.on_error(error, job.request)
        finally:
            self._unfinished -= 1
            job.running = False
            self.deliver([job])
