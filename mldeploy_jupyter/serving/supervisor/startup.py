"""A worker from its birth until it is ready; one that was forked gets a second chance in a new interpreter."""

from __future__ import annotations

import queue
import signal
import time
from typing import TYPE_CHECKING, Any

from ..ipc.failure import failure
from ..settings import Settings
from .generation import PROGRESS_EVERY, STACK_WAIT, Deploy, Emit, Generation, Stopped
from .watchdog import PATIENCE, LockDetector
from .worker_process import Worker

if TYPE_CHECKING:
    from .arbiter import Arbiter


def make_ready(
    fleet: Arbiter, generation: Generation, worker: Worker, deploy: Deploy | None, emit: Emit, *, early: bool
) -> Worker:
    """The worker, or the one that took its place, once it is ready. Raises `Stopped`.

    A forked worker that dies or hangs may do so only because it was forked. Then a new interpreter must show it.
    """
    while True:
        try:
            await_ready(worker, generation.settings, deploy, emit)
        except Stopped as stopped:
            failed = stopped.worker or worker
            if not may_be_the_fork(failed, stopped.failure):
                worker.kill()
                raise
            again = _again(fleet, generation, failed, str(stopped), emit, early=early)
            worker = again if failed is worker else worker
            continue
        changed = worker.outdated()
        if changed:
            worker = _again(fleet, generation, worker, f"{changed} has changed", emit, early=early, fresh=False)
            continue
        if worker.instead_of:
            fleet.nursery.distrust(f"{worker.instead_of}, and not in a new interpreter")
        return worker


def _again(
    fleet: Arbiter, generation: Generation, failed: Worker, reason: str, emit: Emit, *, early: bool, fresh: bool = True
) -> Worker:
    failed.given_up, failed.on_exit = True, fleet.forget
    failed.kill()
    failed.exited.wait(5)
    if fresh:
        fleet.log.write(f"worker {failed.pid} was forked and failed: {reason}; trying a new interpreter")
        emit({"event": "progress", "text": f"{reason}; once more in a new interpreter"})
    again = fleet.spawn(generation, failed.events, emit, early=early, fresh=fresh)
    again.restarts, again.instead_of = failed.restarts, reason if fresh else ""
    if failed in generation.workers:
        generation.workers[generation.workers.index(failed)] = again
    return again


def may_be_the_fork(worker: Worker, data: dict[str, Any]) -> bool:
    """Whether a failure could come from forking: an end or a hang without a word, or words about it."""
    if not worker.forked or (data.get("memory") or {}).get("oom_kill"):
        return False
    silent = data["code"] in ("killed", "exited", "worker-lost") or data.get("locked", False)
    return silent or "fork" in str(data.get("message", "")).lower()


def await_ready(worker: Worker, settings: Settings, deploy: Deploy | None, emit: Emit) -> None:
    """Returns when the worker is ready; raises `Stopped` with the failure of whatever came instead."""
    next_progress = PROGRESS_EVERY
    pulse = LockDetector(worker.pid)
    while not worker.ready:
        now = time.monotonic()
        if deploy is not None and deploy.cancelled:
            raise Stopped(failure("cancelled", worker.stage, "cancelled"))
        running = now - worker.stage_since
        if now - worker.born > settings.init_timeout:
            raise Stopped({**_hung(worker, settings), "locked": pulse.locked()}, worker)
        if worker.forked and pulse.locked_for() > PATIENCE:
            text = f"{worker.stage} waits for a lock and has done nothing for {PATIENCE:g} s"
            raise Stopped(worker.complete(failure("init-timeout", worker.stage, text, locked=True)), worker)
        if worker.stage == "init" and running > next_progress:
            emit({"event": "progress", "text": f"init() has run for {running:.0f} s"})
            next_progress += PROGRESS_EVERY
        left = settings.init_timeout - (now - worker.born)
        try:
            event = worker.events.get(timeout=max(0.01, min(left, 0.5)))
        except queue.Empty:
            continue
        said: Worker | None = event.get("worker")
        if said is None or said.given_up:
            continue
        if event["event"] == "failed":
            raise Stopped(said.complete(event["failure"]), said)
        if event["event"] == "exit":
            raise Stopped(said.failure_of_exit(), said)
    if worker.exited.is_set():
        raise Stopped(worker.failure_of_exit(), worker)
    worker.state = "ready"


def _hung(worker: Worker, settings: Settings) -> dict[str, Any]:
    answer = worker.ask("stack", STACK_WAIT)
    frames = answer["frames"] if answer else []
    if not answer:  # held up in C code: its fault handler writes the stack to the log
        worker.signal(signal.SIGUSR2)
        time.sleep(0.2)
    stage = worker.stage
    text = f"{stage if stage != 'init' else 'init()'} did not end within {settings.init_timeout:g} s"
    return worker.complete(failure("init-timeout", stage, text, frames=frames))
