"""Waits until a spawned worker is ready. A forked one that fails is tried once more in a new interpreter."""

from __future__ import annotations

import queue
import signal
import time
from typing import Any

from ..ipc.failure import failure
from ..settings import Settings
from .generation import Aborted, Deployment, Emit, Generation
from .watchdog import LOCK_PATIENCE, LockDetector
from .worker_pool import WorkerPool
from .worker_process import WorkerProcess

PROGRESS_INTERVAL = 5.0  # seconds between two events about an init() that still runs

STACK_WAIT = 1.0  # seconds for a worker to answer where its init() hangs


def make_ready(
    pool: WorkerPool,
    generation: Generation,
    worker: WorkerProcess,
    deployment: Deployment | None,
    emit: Emit,
    *,
    answer_early: bool,
) -> WorkerProcess:
    """Returns the worker, or the one that was started in its place, when it is ready. Raises `Aborted`.

    Where a forked worker dies or hangs, the fork itself may be the reason; a new interpreter shows whether it is.
    """
    while True:
        try:
            await_ready(worker, generation.settings, deployment, emit)
        except Aborted as aborted:
            failed = aborted.worker or worker  # with several workers, events of all come in one queue
            if aborted.failure["code"] == "worker-hung" and failed.forked and not failed.has_begun:
                # A signal stopped the spare fork before it was used: nothing is wrong with forking or the script.
                substitute = _start_again(pool, generation, failed, emit, answer_early)
                worker = substitute if failed is worker else worker
                continue
            if not may_be_the_fork(failed, aborted.failure):
                worker.kill()
                raise
            pool.log.write(f"worker {failed.pid} was forked and failed: {aborted}; trying a new interpreter")
            emit({"event": "progress", "text": f"{aborted}; once more in a new interpreter"})
            substitute = _start_again(pool, generation, failed, emit, answer_early, failure_of_fork=str(aborted))
            worker = substitute if failed is worker else worker
            continue
        if worker.find_changed_file():
            worker = _start_again(pool, generation, worker, emit, answer_early)
            continue
        if worker.failure_of_fork:
            pool.zygotes.stop_forking(f"{worker.failure_of_fork}, and not in a new interpreter")
        return worker


def _start_again(
    pool: WorkerPool,
    generation: Generation,
    failed: WorkerProcess,
    emit: Emit,
    answer_early: bool,
    failure_of_fork: str = "",
) -> WorkerProcess:
    """Starts a worker in the place of `failed`: in a new interpreter if the fork may be the reason."""
    failed.superseded, failed.on_exit = True, pool.remove
    failed.kill()
    failed.exited.wait(5)
    substitute = pool.spawn(
        generation,
        failed.events,
        emit,
        answer_early=answer_early,
        new_interpreter=bool(failure_of_fork),
        restarts=failed.restarts,
    )
    substitute.failure_of_fork = failure_of_fork
    if failed in generation.workers:
        generation.workers[generation.workers.index(failed)] = substitute
    return substitute


def may_be_the_fork(worker: WorkerProcess, data: dict[str, Any]) -> bool:
    """Whether a failure may come from forking: death or a hang without an exception, or a message about forking."""
    if not worker.forked or (data.get("memory") or {}).get("oom_kill"):
        return False
    silent = data["code"] in ("killed", "exited", "worker-lost") or data.get("locked", False)
    return silent or "fork" in str(data.get("message", "")).lower()


def await_ready(worker: WorkerProcess, settings: Settings, deployment: Deployment | None, emit: Emit) -> None:
    """Returns when the worker is ready. Raises `Aborted` with the failure when it is not, or `deployment` is cancelled.

    The time limit is `settings.init_timeout` seconds.
    """
    next_progress = PROGRESS_INTERVAL
    detector = LockDetector(worker.pid)
    while not worker.ready:
        now = time.monotonic()
        if deployment is not None and deployment.cancelled:
            raise Aborted(failure("cancelled", worker.stage, "cancelled"))
        left = settings.init_timeout - (now - worker.spawned_at)
        if left < 0:
            raise Aborted({**_timeout_failure(worker, settings), "locked": detector.is_locked()}, worker)
        if worker.forked and detector.locked_seconds() > LOCK_PATIENCE:
            text = f"{worker.stage} waits for a lock and has done nothing for {LOCK_PATIENCE:g} s"
            data = failure("init-timeout", worker.stage, text, locked=True)
            raise Aborted(worker.complete_failure(data), worker)
        running = now - worker.stage_since
        if worker.stage == "init" and running > next_progress:
            emit({"event": "progress", "text": f"init() has run for {running:.0f} s"})
            next_progress += PROGRESS_INTERVAL
        try:
            event = worker.events.get(timeout=max(0.01, min(left, 0.5)))
        except queue.Empty:
            continue
        sender: WorkerProcess | None = event.get("worker")
        if sender is None or sender.superseded:
            continue
        if event["event"] == "failed":
            raise Aborted(sender.complete_failure(event["failure"]), sender)
        if event["event"] == "exit":
            raise Aborted(sender.exit_failure(), sender)
    if worker.exited.is_set():
        raise Aborted(worker.exit_failure(), worker)
    worker.state = "ready"


def _timeout_failure(worker: WorkerProcess, settings: Settings) -> dict[str, Any]:
    answer = worker.request("stack", STACK_WAIT)
    if not answer:  # it is held up in C code: its fault handler writes the stack to the log
        worker.signal(signal.SIGUSR2)
        time.sleep(0.2)
    stage = worker.stage
    text = f"{stage if stage != 'init' else 'init()'} did not end within {settings.init_timeout:g} s"
    frames = answer["frames"] if answer else []
    return worker.complete_failure(failure("init-timeout", stage, text, frames=frames))
