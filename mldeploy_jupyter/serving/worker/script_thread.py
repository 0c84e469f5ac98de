"""The thread that owns the user's code. Beside it the loop keeps answering.

It is the main thread: `init()` and every `run()` have the thread that a script of v1 had, so what is bound
to a thread (an SQLite connection, a signal handler) works. With `max_concurrent` above 1 more threads help.
Handing over costs two queue operations; one wake-up of the loop serves all that is finished by then.
"""

from __future__ import annotations

import asyncio
import ctypes
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any

from ..ipc.failure import describe, traceback_text
from ..log import writer
from ..scoring.messages import DeadlineExceeded, Request, Response
from .jobs import BatchResult, Job, unanswered

LATE = object()

_SIGNAL = signal.SIGRTMIN + 5 if hasattr(signal, "SIGRTMIN") else 0  # one that nobody else uses


class ScriptThread:
    """Runs jobs in order, in threads of its own. `waiting` is how many have not begun.

    `work(jobs)` answers jobs by `attempt`, then `done` or `done_together`; `most` is how many it may be given at once.
    `on_done(job)` and `on_together(shared)` are called on the loop's thread.
    """

    def __init__(self, threads: int = 1) -> None:
        self.work: Callable[[list[Job]], None] = lambda jobs: None
        self.most = 1
        self.on_done: Callable[[Job], None] = lambda job: None
        self.on_together: Callable[[BatchResult], None] = lambda shared: None
        self.loop: asyncio.AbstractEventLoop | None = None
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._finished: deque[Job | BatchResult] = deque()
        self._waking = False
        self._lock = threading.Lock()
        self._threads = threads
        self._stopping = False
        self._current: list[Job] = []  # those that the main thread answers
        self._signalled = 0  # the thread that a signal reaches
        self._abandoned = self._dropped = 0  # in the queue; of those, how many the queue has given back

    @property
    def waiting(self) -> int:
        return self._queue.qsize() - (self._abandoned - self._dropped)

    def submit(self, job: Job) -> None:
        self._queue.put(job)

    def abandon(self, job: Job) -> None:
        """Nobody waits for it any more: it takes no place in the queue. For the loop's thread."""
        with self._lock:
            if not job.abandoned:
                job.abandoned = True
                self._abandoned += not job.taken

    def serve(self) -> None:
        """Runs jobs in this thread until `stop`."""
        if _SIGNAL and threading.current_thread() is threading.main_thread():
            signal.signal(_SIGNAL, self._on_signal)
            self._signalled = threading.get_ident()
        for _ in range(self._threads - 1):
            threading.Thread(target=self._serve, daemon=True).start()
        self._serve()

    def stop(self) -> None:
        self._stopping = True
        for _ in range(self._threads):
            self._queue.put(None)

    def interrupt(self, job: Job) -> None:
        """Raises `DeadlineExceeded` in the thread that runs the job, if it runs.

        In the main thread by a signal, which also ends a sleep or a wait for a socket; in a helper when it is back in
        Python code.
        """
        with self._lock:
            if not job.running or job.interrupted:
                return
            job.interrupted = True
            if job.thread == self._signalled:
                signal.pthread_kill(job.thread, _SIGNAL)
            else:
                raised = ctypes.py_object(DeadlineExceeded)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(job.thread), raised)

    def _on_signal(self, number: int, frame: Any) -> None:
        jobs = self._current
        if any(job.interrupted for job in jobs):
            self._current = []  # once
            raise DeadlineExceeded

    def done(self, jobs: list[Job]) -> None:
        """Hands finished jobs to the loop. Any thread may call it."""
        for job in jobs:
            job.done = True
        self._finished.extend(jobs)
        self._wake()

    def done_together(self, shared: BatchResult) -> None:
        """As `done`."""
        for job in shared.jobs:
            job.done = True
        self._finished.append(shared)
        self._wake()

    def _wake(self) -> None:
        if not self._waking and self.loop is not None:
            self._waking = True
            try:
                self.loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:  # the loop has ended: nobody waits any more
                pass

    def _deliver(self) -> None:
        self._waking = False
        while self._finished:
            finished = self._finished.popleft()
            if isinstance(finished, BatchResult):
                self.on_together(finished)
            else:
                self.on_done(finished)

    def _serve(self) -> None:
        while True:
            try:
                self._loop()
                return
            except DeadlineExceeded:
                continue  # it came a moment after the call had ended

    def _loop(self) -> None:
        waiting = self._queue
        while (job := waiting.get()) is not None:
            jobs = [job]
            if self.most > 1:
                while len(jobs) < self.most:
                    try:
                        more = waiting.get_nowait()
                    except queue.Empty:
                        break
                    if more is None:
                        waiting.put(None)
                        break
                    jobs.append(more)
            wanted = []
            with self._lock:
                for job in jobs:
                    job.taken = True
                    if job.abandoned:
                        self._dropped += 1
                    else:
                        wanted.append(job)
            if wanted:
                try:
                    self.work(wanted)
                except BaseException as error:  # nobody may wait for ever, and this thread must go on
                    if not isinstance(error, DeadlineExceeded):
                        text = f"a call was not brought to its end: {describe(error)}"
                        writer.log(text, level="error", traceback=traceback_text(error))
                    left = [job for job in wanted if not job.done]
                    for job in left:
                        job.running = False
                    self.done(left)

    def attempt(self, jobs: list[Job], call: Callable[[], Any]) -> Any:
        """Makes a call that answers these jobs, in this thread. `LATE` when its deadline ended it.

        A call that is over may be made again for the same jobs; the last one is followed by `done`.
        """
        now, thread = perf_counter(), threading.get_ident()
        main = thread == self._signalled
        try:
            if main:
                self._current = jobs  # before they run: a signal is sent once
            for job in jobs:
                job.thread, job.started, job.interrupted, job.running = thread, now, False, True
            if not main:
                return call()
            result = call()
            self._current = []  # from here on a signal raises nothing
            return result
        except DeadlineExceeded:
            return LATE
        finally:
            self._leave(jobs, thread)

    def _leave(self, jobs: list[Job], thread: int) -> None:
        """From here on no exception may be raised in this thread for these jobs."""
        if thread == self._signalled:
            self._current = []
            for job in jobs:
                job.running = False
            return
        try:
            with self._lock:
                for job in jobs:
                    job.running = False
            if any(job.interrupted for job in jobs):
                for _ in range(1000):  # one that was raised but not delivered yet comes here
                    pass
        except DeadlineExceeded:
            for job in jobs:
                job.running = False


class AsyncScriptThread(ScriptThread):
    """Runs `async def run` on a loop of its own in the script's thread: a script that blocks stops only itself."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        super().__init__()
        self.user_loop = new_loop()
        self.score: Callable[[Request], Any] = lambda request: None
        self.failed: Callable[[BaseException, Request], Response] = lambda error, request: unanswered()
        self._running = 0

    @property
    def waiting(self) -> int:
        return self._running

    def abandon(self, job: Job) -> None:
        job.abandoned = True

    def submit(self, job: Job) -> None:
        self._running += 1
        self.user_loop.call_soon_threadsafe(self._begin, job)

    def serve(self) -> None:
        asyncio.set_event_loop(self.user_loop)
        while not self._stopping:
            try:
                self.user_loop.run_forever()
            except BaseException as error:  # a task of the script's that calls sys.exit()
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

    def _begin(self, job: Job) -> None:
        job.started, job.running = perf_counter(), True  # first: whoever abandons it now sees that it is to be `done`
        if job.abandoned:
            self._running -= 1
            job.running = False
            self.done([job])
            return
        job.task = self.user_loop.create_task(self._one(job))

    async def _one(self, job: Job) -> None:
        writer.request_id.set(job.request.id)  # of this task, and those that it makes
        try:
            job.response = await self.score(job.request)
        except BaseException as error:  # past its deadline, when it is answered already, or the script's own
            if not job.interrupted:
                job.response = self.failed(error, job.request)
        finally:
            self._running -= 1
            job.running = False
            self.done([job])

    def run_until_complete(self, awaitable: Any) -> Any:
        """Before `serve`: runs the sample on the loop that will run the rest."""
        asyncio.set_event_loop(self.user_loop)
        return self.user_loop.run_until_complete(awaitable)
