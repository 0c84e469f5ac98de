"""A worker from its birth until it is ready; one that was forked gets a second chance in a new interpreter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .failure import failure
from .generation import Deploy, Emit, Generation, Stopped, await_ready
from .workers import Worker

if TYPE_CHECKING:
    from .fleet import Fleet


def make_ready(
    fleet: Fleet, generation: Generation, worker: Worker, deploy: Deploy | None, emit: Emit, *, early: bool
) -> Worker:
    """The worker, or the one that took its place, once it is ready. Raises `Stopped`.

    A forked worker that dies or hangs may do so only because it was forked. Then a new interpreter must show it.
    """
    try:
        await_ready(worker, generation.settings, deploy, emit)
        return worker
    except Stopped as stopped:
        if not may_be_the_fork(worker, stopped.failure):
            raise
        reason = stopped.failure["message"]
    worker.on_exit = fleet.forget
    worker.kill()
    worker.exited.wait(5)
    fleet.log.write(f"worker {worker.pid} was forked and failed: {reason}; trying a new interpreter")
    emit({"event": "progress", "text": f"{reason}; once more in a new interpreter"})
    again = fleet.spawn(generation, worker.events, emit, early=early, fresh=True)
    again.restarts = worker.restarts
    if worker in generation.workers:
        generation.workers[generation.workers.index(worker)] = again
    try:
        await_ready(again, generation.settings, deploy, emit)
    except Stopped:
        again.on_exit = fleet.forget
        again.kill()
        raise
    fleet.nursery.distrust(f"{reason}, and not in a new interpreter")
    return again


def may_be_the_fork(worker: Worker, data: dict[str, Any]) -> bool:
    """Whether a failure could come from forking: an end or a hang without a word, or words about it."""
    if not worker.forked or (data.get("memory") or {}).get("oom_kill"):
        return False
    silent = data["code"] in ("killed", "exited", "init-timeout", "worker-lost")
    return silent or "fork" in str(data.get("message", "")).lower()


def cancelled(deploy: Deploy | None) -> None:
    """Raises `Stopped` when the deployment was cancelled."""
    if deploy is not None and deploy.cancelled:
        raise Stopped(failure("cancelled", "rollout", "cancelled"))
